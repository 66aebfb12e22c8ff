"""Every kind of student goes through its folder: saved, loaded elsewhere, it answers as before; encoders also as ONNX."""

import json
import shutil

import numpy as np
import pytest
from student.encoder_world import tiny
from student.toy_school import checkpoint, fresh, student, task
from trap import Trap

import distiller
from distiller.algorithm.sft import SFT
from distiller.artifacts import Checkpoint
from distiller.blocker.tfidf import Tfidf
from distiller.config import DistillerError
from distiller.disambiguation.unique_mapping import UniqueMapping
from distiller.saved import joined
from distiller.student_folder import write
from distiller.trainer import Trainer

pytestmark = pytest.mark.filterwarnings("ignore")
ABOUT = {
    "teacher": "known",
    "algorithm": "sft",
    "protocol": "paper",
    "recorded_candidates": False,
    "datasets": {},
    "scores": {},
    "seed": 1,
    "uses_gold": [],
}


def saved(learner, taught, folder):
    parts = {"blocker": Tfidf(), "student": learner, "disambiguation": UniqueMapping(), "trainer": Trainer()}
    write(folder / "student", parts, taught, ABOUT)
    return distiller.load(shutil.move(folder / "student", folder / "elsewhere"))


def told(answers):
    return answers.table.drop_columns(["seconds"]).to_pylist()


def tables(own):
    return own.records.queries, own.records.candidates


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_an_encoder_answers_from_its_folder_as_before_whole_and_in_parts(kind, school, world, checkpoints, tmp_path):
    learner = tiny(checkpoints[kind], epochs=1)
    before = school.ask(learner)
    trap = Trap(tmp_path / "was-run")
    found = saved(learner, school.teach(learner), tmp_path)
    trap.lay(found.folder)
    found = distiller.load(found.folder)
    assert told(found.answers(world.task)) == told(before)
    in_parts = joined(found.answers(part) for part in found.parts(world.task, 30))
    assert in_parts.choice.tolist() == before.choice.tolist(), "it reads every pair alone"
    assert in_parts.distribution.tolist() == pytest.approx(before.distribution.tolist(), abs=1e-5)
    matches = found.match(*tables(world.task))
    assert matches.column_names == ["query_id", "candidate_id", "probability"]
    assert matches.num_rows
    again = found.match(*tables(world.task), chunk=30)
    assert again.drop_columns(["probability"]).equals(matches.drop_columns(["probability"]))
    assert not trap.sprung


@pytest.mark.parametrize("rank", [0, 4])
def test_a_language_model_answers_from_its_folder_as_before(rank, tmp_path):
    own, right = task(40)
    base = checkpoint(hidden=32, layers=1)
    learner, folder = student(base, rank=rank, epochs=1), fresh()
    facts = SFT().distil(learner, [(own, right)], Trainer(max_steps=3), 1, folder)
    before = learner.answer(Checkpoint(folder, facts=facts), own, own.candidates.query_ids, Trainer(), 2)
    found = saved(learner, Checkpoint(folder, facts=facts), tmp_path)
    trap = Trap(tmp_path / "was-run")
    trap.lay(found.folder)
    assert told(distiller.load(found.folder).answers(own)) == told(before)
    assert found.match(*tables(own)).column_names == ["query_id", "candidate_id", "probability"]
    shown = found.explained(own, "3")
    assert shown.startswith("query 3: name: ")
    assert all(word in shown for word in ("none of them", "genuine" if right.choice[3] else "copy"))
    with pytest.raises(DistillerError, match="has not learnt to give rationales"):
        found.telling()
    with pytest.raises(DistillerError, match="only encoders are exported to ONNX"):
        found.to_onnx(tmp_path / "x.onnx")
    assert not trap.sprung
    if not rank:
        shutil.rmtree(base)  # the folder holds all of it
        assert told(distiller.load(found.folder).answers(own)) == told(before)
        return
    recipe = json.loads((found.folder / "distiller.json").read_text())
    del recipe["files"]["adapter_model.safetensors"]
    (found.folder / "distiller.json").write_text(json.dumps(recipe))
    with pytest.raises(DistillerError, match=r"an adapter without adapter_model\.safetensors; do not trust"):
        distiller.load(found.folder)


def test_a_comparator_answers_from_its_folder_as_before(world, tmp_path):
    from distiller.student.comparator import Comparator

    learner, folder = Comparator(epochs=2, members=2), fresh()
    SFT().distil(learner, [(world.task, world.answers(world.taught))], Trainer(), 2, folder)
    before = learner.answer(Checkpoint(folder), world.task, world.task.candidates.query_ids, Trainer(), 2)
    found = saved(learner, Checkpoint(folder), tmp_path)
    assert told(found.answers(world.task)) == told(before)
    rationales = found.match(*tables(world.task), rationales=True)["rationale"].to_pylist()
    assert all("is the best match" in text for text in rationales)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("bert", {"pooling": "compare", "none": "learned"}),
        ("roberta", {"pooling": "first", "objective": "pairwise"}),
    ],
)
def test_an_encoder_as_onnx_gives_the_answers_of_torch(kind, fields, school, world, checkpoints, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    learner = tiny(checkpoints[kind], epochs=1, **fields)
    found = saved(learner, school.teach(learner), tmp_path)
    path = found.to_onnx(tmp_path / "deep" / "x.onnx")
    assert [each.name for each in path.parent.iterdir()] == ["x.onnx"], "one file, nothing half-written beside it"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    settings = json.loads(session.get_modelmeta().custom_metadata_map["distiller"])
    _, _, tokenizer = learner._taught(found.checkpoint)
    wanted = [each.name for each in session.get_inputs()]
    assert ("token_type_ids" in wanted) == (kind == "bert")
    assert ("records" in wanted) == (learner.pooling == "compare")
    for answer in found.answers(world.task).table.slice(0, 25).to_pylist():
        listed = np.array(answer["options"])
        pairs = learner._text(tokenizer).pairs(world.task, np.full(len(listed), answer["query_id"]), listed)
        grid = {name: np.zeros((len(listed), pairs.lengths.max()), np.int64) for name in wanted}
        grid["input_ids"][:] = tokenizer.pad_token_id
        values = {"input_ids": pairs.tokens, "token_type_ids": pairs.types, "records": pairs.records}
        for row, (begin, end) in enumerate(zip(pairs.offsets[:-1], pairs.offsets[1:], strict=True)):
            for name in wanted:
                grid[name][row, : end - begin] = 1 if name == "attention_mask" else values[name][begin:end]
        (scores,) = session.run(["scores"], grid)
        logits = scores[:, 0] - (scores[:, 1].mean() if scores.shape[1] == 2 else 0.0)
        corrected = np.r_[0.0, settings["scale"] * logits + settings["shift"]]
        weights = np.exp(corrected - corrected.max())
        assert weights / weights.sum() == pytest.approx(answer["distribution"], abs=1e-4)


def test_without_the_libraries_of_onnx_exporting_says_what_to_install(school, checkpoints, tmp_path, monkeypatch):
    import importlib.util

    learner = tiny(checkpoints["bert"], epochs=1)
    found = saved(learner, school.teach(learner), tmp_path)
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnx" else real(name))
    with pytest.raises(DistillerError, match=r"pip install 'distiller-er\[onnx\]'"):
        found.to_onnx(tmp_path / "x.onnx")
