"""Rewards of replies, advantages within a group, and the clipped loss, each against plain arithmetic."""

import math
import statistics

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matching_instances import relaxed

from distiller.algorithm.grpo import GRPO
from distiller.algorithm.grpo_module import EPSILON, group_advantages, grpo_token_loss, reply_losses
from distiller.algorithm.rewards import correct, in_range, well_formed


@pytest.mark.parametrize("n_options", [1, 3, 10])
def test_a_right_reply_is_worth_everything_whatever_its_number_of_digits(n_options):
    for choice in range(n_options + 1):
        assert GRPO().reward(f"[{choice}]", True, np.eye(n_options + 1)[choice]) == 1.0


@pytest.mark.parametrize(
    ("text", "ended", "form", "listed", "right"),
    [
        ("[2]", True, 1, 1, 1),
        ("[2]", False, 0, 1, 1),
        ("2", True, 0, 1, 1),
        ("[1]", True, 1, 1, 0),
        ("[7]", True, 1, 0, 0),
        ("[02]", True, 0, 1, 1),
        ("[2] [2]", True, 0, 1, 1),
        ("[1] or [2]", True, 0, 1, 0),
        ("[2] and [99999999999999]", True, 0, 0, 0),
        ("", True, 0, 0, 0),
        ("none", True, 0, 0, 0),
    ],
)
def test_form_range_and_correctness_are_judged_apart(text, ended, form, listed, right):
    assert well_formed(text, ended) == form
    assert in_range(text, 3) == listed
    assert correct(text, np.array([0.0, 0.0, 1.0, 0.0])) == right


def test_a_soft_target_pays_what_it_holds_probable():
    assert correct("[2]", np.array([0.1, 0.2, 0.7])) == pytest.approx(0.7)


@relaxed
@given(st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=1, max_size=4))
def test_advantages_are_centred_within_each_group_and_scaled_where_asked(groups):
    values = torch.tensor(groups, dtype=torch.float64)
    for scaled in (True, False):
        found = group_advantages(values, scaled).tolist()
        for group, own in zip(groups, found, strict=True):
            spread = statistics.stdev(group) + EPSILON if scaled else 1.0
            expected = [(x - statistics.fmean(group)) / spread for x in group]
            assert own == pytest.approx(expected, abs=1e-6)


@st.composite
def tokens(draw):
    """Log-probabilities now, when drawn, and by the reference, [replies, steps], with lengths and advantages."""
    replies, steps = draw(st.integers(1, 4)), 3
    scores = st.lists(st.floats(-3, 0), min_size=steps, max_size=steps)
    three = [torch.tensor([draw(scores) for _ in range(replies)], dtype=torch.float64) for _ in range(3)]
    lengths = [draw(st.integers(1, steps)) for _ in range(replies)]
    there = torch.arange(steps) < torch.tensor(lengths)[:, None]
    advantages = torch.tensor([draw(st.floats(-2, 2)) for _ in range(replies)], dtype=torch.float64)
    return *three, there, advantages


@relaxed
@given(tokens(), st.sampled_from([0.0, 0.04, 1.0]), st.sampled_from([None, 8]))
def test_the_loss_is_the_formula_token_by_token_and_padding_counts_nothing(batch, beta, longest):
    now, drawn, reference, there, advantages = batch
    found = reply_losses(
        grpo_token_loss(now, drawn, reference if beta else None, advantages, beta, 0.2), there, longest
    )
    for row, loss in enumerate(found.tolist()):
        losses = []
        for step in range(int(there[row].sum())):
            a, p, o, r = (float(x) for x in (advantages[row], now[row, step], drawn[row, step], reference[row, step]))
            ratio = math.exp(p - o)
            clipped = min(max(ratio, 0.8), 1.2)
            losses.append(-min(ratio * a, clipped * a) + beta * ratio * (math.exp(r - p) - (r - p) - 1))
        assert loss == pytest.approx(sum(losses) / (longest or len(losses)), rel=1e-9, abs=1e-9)


def test_on_the_first_step_the_gradient_is_that_of_the_advantage_times_the_log_probability():
    log_p = torch.log(torch.tensor([[0.3, 0.6], [0.2, 0.9]], dtype=torch.float64)).requires_grad_()
    advantages = torch.tensor([1.5, -0.5], dtype=torch.float64)
    grpo_token_loss(log_p, log_p.detach(), None, advantages, 0.0, 0.2).sum().backward()
    assert torch.allclose(log_p.grad, -advantages[:, None].expand(2, 2))
