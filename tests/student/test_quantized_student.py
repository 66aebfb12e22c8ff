"""A student whose base is kept in 4 bits: it learns through its adapter, and the adapter answers on the whole base."""

import importlib.util

import numpy as np
import pytest
import torch
from student.toy_school import checkpoint, fresh, student, task

from distiller.algorithm.sft import SFT
from distiller.artifacts import Checkpoint
from distiller.config import DistillerError
from distiller.student.language_model import Adapter, OptionModel
from distiller.trainer import Trainer

pytestmark = pytest.mark.filterwarnings("ignore")
HAS = importlib.util.find_spec("bitsandbytes") is not None


@pytest.mark.skipif(not HAS, reason="bitsandbytes is not installed (pip install 'distiller-er[quantized]')")
def test_a_base_in_four_bits_takes_an_eighth_and_says_nearly_the_same():
    folder = checkpoint(hidden=64, layers=2)
    whole = OptionModel.load(str(folder), None, dtype="float32", adapter=Adapter(4, 8.0))
    few = OptionModel.load(str(folder), None, dtype="float32", adapter=Adapter(4, 8.0), quantized=True)
    name = "model.layers.0.mlp.up_proj"
    kept, plain = few.causal.get_submodule(name).base_layer.weight, whole.causal.get_submodule(name).base_layer.weight
    assert kept.dtype == torch.uint8
    assert kept.numel() * 8 == plain.numel() * plain.element_size()
    assert not kept.requires_grad
    assert all(weight.dtype == torch.float32 for weight in few.parameters() if weight.requires_grad)
    tokens = torch.arange(40)[None]
    with torch.no_grad():
        one, other = (model.causal(input_ids=tokens).logits.log_softmax(-1).exp() for model in (whole, few))
    assert not torch.equal(one, other)
    assert (one - other).abs().sum(-1).mean() / 2 < 0.1, "total variation of the next token"


@pytest.mark.skipif(not HAS, reason="bitsandbytes is not installed (pip install 'distiller-er[quantized]')")
def test_a_student_over_four_bits_lowers_its_loss_and_answers_over_the_whole_base():
    own, answers = task(40)
    learner = student(checkpoint(hidden=64, layers=2), rank=8, epochs=2, quantize="4bit", gradient_checkpointing=True)
    folder = fresh()
    facts = SFT().distil(learner, [(own, answers)], Trainer(), 1, folder)
    learnt = [loss for _, loss, _ in facts["curve"]]
    assert learnt[-1] < learnt[0] * 0.97
    assert {path.name for path in folder.iterdir()} >= {"adapter_model.safetensors", "adapter_config.json"}
    given = learner.answer(Checkpoint(folder, facts=facts), own, own.candidates.query_ids, Trainer(), 1)
    assert np.isfinite(given.distribution).all()


@pytest.mark.skipif(HAS, reason="bitsandbytes is installed")
def test_without_the_extra_the_sentence_names_it(tmp_path):
    with pytest.raises(
        DistillerError, match=r"needs the library bitsandbytes: pip install 'distiller-er\[quantized\]'"
    ):
        student(checkpoint(hidden=32, layers=1), rank=4, quantize="4bit").ready(task(4)[0].store)
