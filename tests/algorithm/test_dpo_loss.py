"""Preferences among all options of a query, by the formula and against a plain loop."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matching_instances import relaxed

from distiller.algorithm.dpo import DPO
from distiller.algorithm.dpo_module import dpo_loss, preference_losses

FORMS = ["sigmoid", "robust", "ipo"]
numbers = st.floats(-30, 30)


def by_hand(chosen, rejected, form, beta, smoothing):
    def log_logistic(x):
        return -math.log1p(math.exp(-x)) if x > -500 else x

    margin = chosen - rejected
    right, wrong = log_logistic(beta * margin), log_logistic(-beta * margin)
    return {
        "sigmoid": -(1 - smoothing) * right - smoothing * wrong,
        "robust": (-(1 - smoothing) * right + smoothing * wrong) / (1 - 2 * smoothing),
        "ipo": (margin - 1 / (2 * beta)) ** 2,
    }[form]


@relaxed
@given(numbers, numbers, st.sampled_from(FORMS), st.sampled_from([0.01, 0.1, 1.0]), st.sampled_from([0.0, 0.1, 0.4]))
def test_the_loss_of_a_pair_is_the_formula_with_its_derivative(chosen, rejected, form, beta, smoothing):
    one, other = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (chosen, rejected))
    loss = dpo_loss(one, other, form, beta, smoothing)
    assert loss.item() == pytest.approx(by_hand(chosen, rejected, form, beta, smoothing), rel=1e-9, abs=1e-9)
    loss.backward()
    eps = 1e-5
    difference = by_hand(chosen + eps, rejected, form, beta, smoothing) - by_hand(
        chosen - eps, rejected, form, beta, smoothing
    )
    assert one.grad.item() == pytest.approx(difference / (2 * eps), abs=1e-4)
    assert one.grad.item() == pytest.approx(-other.grad.item(), abs=1e-12)


@st.composite
def batches(draw):
    """Log-probabilities by student and reference, targets and lengths; -inf beyond a query's own options."""
    rows, longest = draw(st.integers(1, 4)), 5
    sizes = [draw(st.integers(2, longest)) for _ in range(rows)]

    def scores(size):
        return draw(st.lists(st.floats(-20, 0), min_size=size, max_size=size)) + [-math.inf] * (longest - size)

    log_p, start = ([scores(size) for size in sizes] for _ in range(2))
    best = [draw(st.integers(0, size - 1)) for size in sizes]
    target = [[float(i == b) for i in range(longest)] for b in best]
    tokens = [[draw(st.integers(3, 5)) if i < size else 0 for i in range(longest)] for size in sizes]
    return [torch.tensor(x, dtype=torch.float64) for x in (log_p, start, target, tokens)]


@relaxed
@given(batches(), st.sampled_from(FORMS), st.booleans(), st.sampled_from([0.0, 0.5]))
def test_every_other_option_is_rejected_once_the_last_one_included(batch, form, length_normalised, anchor):
    log_p, start, target, tokens = batch
    found = preference_losses(log_p, start, target, tokens, form, 0.1, 0.0, length_normalised, anchor)
    for p, s, t, n, loss in zip(*(x.tolist() for x in (*batch, found)), strict=True):
        size = sum(x > -math.inf for x in s)
        gain = [(a - b) / (m if length_normalised else 1) for a, b, m in zip(p[:size], s[:size], n[:size], strict=True)]
        best = t.index(1.0)
        losses = [by_hand(gain[best], gain[j], form, 0.1, 0.0) for j in range(size) if j != best]
        assert loss == pytest.approx(sum(losses) / (size - 1) - anchor * p[best], rel=1e-9, abs=1e-9)
    learnt = log_p.clone().requires_grad_()
    preference_losses(learnt, start, target, tokens, form, 0.1, 0.0, length_normalised, anchor).sum().backward()
    there = torch.isfinite(start)
    assert torch.isfinite(learnt.grad[there]).all()
    assert (learnt.grad[~there] == 0).all()
    if form == "sigmoid":
        assert (learnt.grad[there & (target == 0)] > 0).all(), "each rejected option is pushed down"


def test_without_a_difference_to_the_reference_the_loss_is_log_two():
    log_p = torch.log(torch.tensor([[0.2, 0.3, 0.5]]))
    target, tokens = torch.tensor([[0.0, 1.0, 0.0]]), torch.tensor([[4, 4, 4]])
    assert preference_losses(log_p, log_p, target, tokens).item() == pytest.approx(math.log(2))


def test_a_form_without_smoothing_refuses_it():
    with pytest.raises(ValueError, match="form=ipo takes no smoothing"):
        DPO(form="ipo", smoothing=0.1)
