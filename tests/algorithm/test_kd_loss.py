"""Divergences between distributions over the options, by the formula, by torch, and at their special cases."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matching_instances import relaxed
from torch.nn import functional as F

from distiller.algorithm.kd import KD, smoothed
from distiller.algorithm.kd_loss import kd_loss
from distiller.algorithm.sft_module import sft_loss
from distiller.student.base import Lesson
from distiller.student.boosted import Boosted
from distiller.student.comparator import Comparator

LONGEST = 4
divergences = st.sampled_from(["forward", "reverse", "js"])
temperatures = st.sampled_from([0.5, 1.0, 2.0, 5.0])


@st.composite
def batches(draw, hard=False):
    """Log-probabilities that sum to at most 1 and targets, [batch, options] in float64, with absent options at the end."""
    log_p, target = [], []
    for _ in range(draw(st.integers(1, 4))):
        size = draw(st.integers(2, LONGEST))
        logits = torch.tensor(draw(st.lists(st.floats(-8, 8), min_size=size, max_size=size)), dtype=torch.float64)
        outside = draw(st.floats(0, 3))
        weights = [1 + draw(st.integers(0, 6)) for _ in range(size)]
        if hard:
            chosen = draw(st.integers(0, size - 1))
            weights = [float(i == chosen) for i in range(size)]
        log_p.append([*(torch.log_softmax(logits, 0) - outside).tolist(), *[-math.inf] * (LONGEST - size)])
        target.append([w / sum(weights) for w in weights] + [0.0] * (LONGEST - size))
    return torch.tensor(log_p, dtype=torch.float64), torch.tensor(target, dtype=torch.float64)


def by_hand(log_p, target, divergence, temperature):
    """The loss of one query from plain numbers, options that do not exist left out."""
    raw = [math.exp(x / temperature) for x in log_p]
    q = [x / sum(raw) for x in raw]
    raised = [x ** (1 / temperature) for x in target]
    p = [x / sum(raised) for x in raised]

    def kl(a, b):
        return sum(x * math.log(x / y) for x, y in zip(a, b, strict=True) if x > 0)

    m = [(x + y) / 2 for x, y in zip(p, q, strict=True)]
    apart = {"forward": kl(p, q), "reverse": kl(q, p), "js": (kl(p, m) + kl(q, m)) / 2}[divergence]
    return temperature**2 * apart - math.log(sum(math.exp(x) for x in log_p))


@relaxed
@given(batches(), divergences, temperatures)
def test_the_loss_is_the_formula_over_the_options_that_exist(batch, divergence, temperature):
    log_p, target = batch
    found = kd_loss(log_p, target, divergence, temperature)
    for own, wanted, loss in zip(log_p.tolist(), target.tolist(), found.tolist(), strict=True):
        size = sum(x > -math.inf for x in own)
        expected = by_hand(own[:size], wanted[:size], divergence, temperature)
        assert loss == pytest.approx(expected, abs=1e-9)
        assert loss >= -1e-9


@relaxed
@given(batches())
def test_forward_is_torchs_divergence_and_js_is_symmetric_and_below_log_two(batch):
    log_p, target = batch
    q = torch.log_softmax(log_p, dim=-1)
    there = torch.isfinite(q)
    theirs = F.kl_div(q.masked_fill(~there, 0.0), target, reduction="none").sum(-1)
    assert torch.allclose(kd_loss(q, target), theirs, atol=1e-9)
    js = kd_loss(q, target, "js")
    assert (js <= math.log(2) + 1e-12).all()
    swapped = torch.where(there, target.clamp(min=1e-300).log(), -math.inf)
    assert torch.allclose(js, kd_loss(swapped, q.exp(), "js"), atol=1e-9)


@relaxed
@given(batches(hard=True), temperatures)
def test_hard_labels_make_forward_what_supervised_training_minimises_gradients_included(batch, temperature):
    log_p, target = batch
    one, other = log_p.clone().requires_grad_(), log_p.clone().requires_grad_()
    kd_loss(one, target).sum().backward()
    sft_loss(other, target).sum().backward()
    assert torch.allclose(kd_loss(log_p, target), sft_loss(log_p, target), atol=1e-9)
    assert torch.allclose(one.grad, other.grad, atol=1e-9)
    assert torch.isfinite(kd_loss(log_p, target, "js", temperature)).all()


@relaxed
@given(batches(), divergences, temperatures)
def test_gradients_agree_with_differences_and_none_flows_to_absent_options(batch, divergence, temperature):
    log_p, target = batch
    there = torch.isfinite(log_p)

    def loss(logits):
        return kd_loss(logits.masked_fill(~there, -math.inf), target, divergence, temperature).sum()

    logits = log_p.masked_fill(~there, 0.0).requires_grad_()
    assert torch.autograd.gradcheck(loss, (logits,), eps=1e-6, atol=1e-5)
    loss(logits).backward()
    assert (logits.grad[~there] == 0).all()


@relaxed
@given(batches(), divergences, temperatures)
def test_a_student_that_is_its_teacher_has_nothing_to_learn(batch, divergence, temperature):
    _, target = batch
    log_p = torch.where(target > 0, target.clamp(min=1e-300).log(), -math.inf).requires_grad_()
    loss = kd_loss(log_p, target, divergence, temperature)
    assert loss.abs().max() < 1e-9


def test_reverse_is_infinite_where_a_teacher_excludes_an_option_so_it_is_asked_to_be_smoothed():
    log_p, target = torch.log(torch.tensor([[0.5, 0.5]])), torch.tensor([[1.0, 0.0]])
    assert torch.isinf(kd_loss(log_p, target, "reverse")).all()
    with pytest.raises(ValueError, match="set smoothing above 0"):
        KD(divergence="reverse")
    assert KD(divergence="reverse", smoothing=0.01).smoothing == 0.01


def test_smoothing_spreads_a_share_of_each_target_evenly_over_its_options():
    class Uneven(Lesson):
        option_offsets = np.array([0, 2, 5])

    lesson = Uneven(None, np.array([4, 7]), np.array([1.0, 0.0, 0.2, 0.8, 0.0]))
    expected = [0.85, 0.15, 0.7 * 0.2 + 0.1, 0.7 * 0.8 + 0.1, 0.1]
    assert smoothed(lesson, 0.3).target == pytest.approx(expected)
    assert smoothed(lesson, 0.0) is lesson


def test_trees_take_the_forward_divergence_alone_and_say_so():
    assert KD().suits(Boosted()) is None
    for settings in (KD(temperature=2.0), KD(divergence="js")):
        assert "boosted can only minimise the forward divergence" in settings.suits(Boosted())
        assert settings.suits(Comparator()) is None
    assert (
        replace(KD(), temperature=3.0).loss().keywords
        == partial(kd_loss, divergence="forward", temperature=3.0).keywords
    )
