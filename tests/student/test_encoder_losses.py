"""The two objectives of encoder students, and how they hang together."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matching_instances import relaxed
from student.encoder_world import tiny
from torch.nn import functional as F

from distiller.algorithm.sft_module import sft_loss
from distiller.student.encoder_network import (
    listwise_log_probabilities,
    pairwise_log_probabilities,
)

pytestmark = pytest.mark.filterwarnings("ignore")


@st.composite
def judged(draw):
    """Logits [batch, k], present, target [batch, k + 1], float64, with garbage in absent places."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    k = max(sizes)
    logits = torch.tensor([[draw(st.floats(-12, 12)) for _ in range(k)] for _ in sizes], dtype=torch.float64)
    present = torch.tensor([[i < size for i in range(k)] for size in sizes])
    weights = [[draw(st.integers(0, 4)) if i <= size else 0 for i in range(k + 1)] for size in sizes]
    for own in weights:
        own[0] += 1
    target = torch.tensor(weights, dtype=torch.float64)
    return logits, present, target / target.sum(1, keepdim=True)


@relaxed
@given(judged())
def test_the_pairwise_loss_is_the_binary_cross_entropy_of_the_pairs(case):
    logits, present, target = case
    found = sft_loss(pairwise_log_probabilities(logits, present), target)
    binary = F.binary_cross_entropy_with_logits(logits, target[:, 1:], reduction="none")
    assert found.tolist() == pytest.approx((binary * present).sum(1).tolist(), rel=1e-9, abs=1e-9)


@relaxed
@given(judged())
def test_pairs_judged_alone_give_the_listwise_distribution_once_at_most_one_matches(case):
    logits, present, _ = case
    alone = pairwise_log_probabilities(logits, present).exp()
    together = listwise_log_probabilities(logits, present).exp()
    assert (alone.sum(1) <= 1 + 1e-9).all()
    assert torch.allclose(alone / alone.sum(1, keepdim=True), together, atol=1e-9)
    for z, exists, row in zip(logits, present, alone, strict=True):
        p = [torch.sigmoid(x).item() for x, there in zip(z, exists, strict=True) if there]
        for option in range(len(p) + 1):
            product = np.prod([x if i + 1 == option else 1 - x for i, x in enumerate(p)])
            assert row[option].item() == pytest.approx(product, rel=1e-6, abs=1e-12)


def test_pairs_judged_alone_have_no_logit_of_none_to_learn(checkpoints):
    with pytest.raises(ValueError, match="set none=zero or listwise"):
        tiny(checkpoints["bert"], objective="pairwise", none="learned")
