"""The loss of supervised distillation, and members that are trained side by side as if each were alone."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matching_instances import relaxed
from torch.nn import functional as F

from distiller.algorithm.sft_module import SFTModule, option_log_probabilities, sft_loss
from distiller.student.set_network import SetNetwork

LONGEST = 4


@st.composite
def batches(draw):
    """Logits [batch, k], present [batch, k] and target [batch, k + 1], all float64, with garbage in absent places."""
    logits, present, target = [], [], []
    for _ in range(draw(st.integers(1, 4))):
        size = draw(st.integers(1, LONGEST))
        logits.append(draw(st.lists(st.floats(-20, 20), min_size=LONGEST, max_size=LONGEST)))
        present.append([i < size for i in range(LONGEST)])
        weights = draw(st.lists(st.integers(0, 4), min_size=size + 1, max_size=size + 1))
        weights[draw(st.integers(0, size))] += 1
        target.append([w / sum(weights) for w in weights] + [0.0] * (LONGEST - size))
    return torch.tensor(logits, dtype=torch.float64), torch.tensor(present), torch.tensor(target, dtype=torch.float64)


@relaxed
@given(batches())
def test_loss_agrees_with_the_formula_and_with_torch_on_the_options_that_exist(batch):
    logits, present, target = batch
    found = sft_loss(option_log_probabilities(logits, present), target)
    for row, own, wanted, loss in zip(logits, present, target, found.tolist(), strict=True):
        options = [0.0, *row[own].tolist()]
        total = math.log(sum(math.exp(x) for x in options))
        t = wanted[: len(options)].tolist()
        assert loss == pytest.approx(sum(p * (total - x) for p, x in zip(t, options, strict=True)), abs=1e-9)
        theirs = F.cross_entropy(torch.tensor([options], dtype=torch.float64), torch.tensor([t], dtype=torch.float64))
        assert loss == pytest.approx(theirs.item(), abs=1e-9)
        assert loss >= -1e-12


@relaxed
@given(batches())
def test_gradient_is_probability_minus_target_and_absent_options_get_none(batch):
    logits, present, target = batch
    logits.requires_grad_()
    log_p = option_log_probabilities(logits, present)
    sft_loss(log_p, target).sum().backward()
    expected = torch.where(present, log_p.detach().exp()[:, 1:] - target[:, 1:], 0.0)
    assert torch.allclose(logits.grad, expected, atol=1e-9)
    assert (log_p.detach().exp().sum(-1) - 1).abs().max() < 1e-9


def school(queries=24, inputs=6, members=3):
    """Random tensors, with as many queries of each fold in every batch of `members` queries."""
    draw = torch.Generator().manual_seed(0)
    sizes = torch.randint(1, LONGEST + 1, (queries, 1), generator=draw)
    present = torch.arange(LONGEST) < sizes
    features = torch.randn(queries, LONGEST, inputs, generator=draw) * present[..., None]
    best = (torch.rand(queries, 1, generator=draw) * (sizes + 1)).long()
    target = F.one_hot(best[:, 0], LONGEST + 1).float()
    return {"features": features, "present": present, "target": target, "fold": torch.arange(queries) % members}


def trained(network, tensors, steps=20, batch=12):
    """The network after `steps` batches in the rows' order, by the module's own step and optimiser."""
    module = SFTModule(network, 1e-2, 0.05, steps)
    setup = module.configure_optimizers()
    for step in range(steps):
        rows = (torch.arange(batch) + step * batch) % len(tensors["fold"])
        setup["optimizer"].zero_grad()
        module.training_step({name: tensor[rows] for name, tensor in tensors.items()}, step).backward()
        setup["optimizer"].step()
        setup["lr_scheduler"]["scheduler"].step()
    return network.eval()


def test_members_trained_side_by_side_are_what_each_would_be_alone():
    torch.manual_seed(3)
    tensors, members = school(), 3
    together = SetNetwork(members, 6, 16, 1, 2, dropout=0.0)
    start = {name: value.clone() for name, value in together.state_dict().items()}
    trained(together, tensors)
    for member in range(members):
        alone = SetNetwork(1, 6, 16, 1, 2, dropout=0.0)
        alone.load_state_dict({name: value[member : member + 1].clone() for name, value in start.items()})
        trained(alone, tensors | {"fold": (tensors["fold"] != member).long()})
        with torch.no_grad():
            ours = together(tensors["features"], tensors["present"])[member][tensors["present"]]
            theirs = alone(tensors["features"], tensors["present"])[0][tensors["present"]]
        assert (ours - theirs).abs().max() < 1e-4
        assert ours.abs().max() > 0.1  # it did learn something


def test_a_query_teaches_every_member_but_the_one_of_its_fold():
    torch.manual_seed(3)
    tensors = school(queries=3) | {"fold": torch.tensor([1, 1, 1])}
    network = SetNetwork(3, 6, 16, 1, 2, dropout=0.0)
    SFTModule(network, 1e-2, 0.0, 10).training_step(tensors, 0).backward()
    moved = [bool(network.judge.weight.grad[member].any()) for member in range(3)]
    assert moved == [True, False, True]


@relaxed
@given(st.permutations(range(LONGEST)), st.integers(1, LONGEST))
def test_the_network_knows_neither_the_order_of_candidates_nor_what_fills_the_gaps(order, size):
    torch.manual_seed(1)
    network = SetNetwork(2, 6, 16, 1, 2, dropout=0.3).eval()
    torch.nn.init.normal_(network.judge.weight)
    present = torch.arange(LONGEST)[None] < size
    features = torch.randn(1, LONGEST, 6)
    with torch.no_grad():
        plain = network(features, present)
        filled = network(torch.where(present[..., None], features, 99.0), present)
        permuted = network(features[:, order], present[:, order])
    assert torch.allclose(filled[..., :size], plain[..., :size], atol=1e-5)
    assert torch.allclose(permuted, plain[..., order], atol=1e-5)
