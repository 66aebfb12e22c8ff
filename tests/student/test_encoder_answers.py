"""Answers of encoder students: those of a plain loop, whatever stands beside a query in a batch."""

import json
import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from student.encoder_world import ARCHITECTURES, tiny
from torch.nn import functional as F

from distiller.artifacts import CandidateSet
from distiller.student.base import Lesson
from distiller.student.encoder_batches import Exercises
from distiller.student.encoder_network import (
    pair_logits,
)
from distiller.student.encoder_text import PairText
from distiller.student.encoder_weights import load_encoder

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("objective", ["listwise", "pairwise"])
@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_answers_equal_a_plain_loop_over_the_pairs(school, world, checkpoints, kind, objective):
    student = tiny(checkpoints[kind], objective=objective)
    checkpoint, asked = school.teach(student), world.unseen[:12]
    from safetensors.torch import load_file
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(checkpoint.folder / "encoder").eval()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder / "encoder")
    head = load_file(checkpoint.folder / "head.safetensors")
    settings = json.loads((checkpoint.folder / "student.json").read_text())
    names = {
        side: dict(zip(table["id"].to_pylist(), table["name"].to_pylist(), strict=True))
        for side, table in (("q", world.task.records.queries), ("c", world.task.records.candidates))
    }
    expected, options = [], world.task.candidates.table.to_pylist()
    for query in asked.tolist():
        logs = []
        for row in options:
            if row["query_id"] == query:
                pair = tokenizer(names["q"][query], names["c"][row["candidate_id"]])
                encoding, ids = pair.encodings[0], torch.tensor([pair["input_ids"]])
                types = {"token_type_ids": torch.tensor([encoding.type_ids])} if kind == "bert" else {}
                parts = encoding.sequence_ids
                with torch.no_grad():
                    hidden = model(input_ids=ids, **types).last_hidden_state[0]
                u, v = (torch.stack([h for h, p in zip(hidden, parts, strict=True) if p == i]).mean(0) for i in (0, 1))
                logit = head["weight"] @ torch.cat([u * v, (u - v).abs()]) + head["bias"]
                corrected = settings["scale"] * logit.double() + settings["shift"]
                logs.append([F.logsigmoid(own).item() for own in (corrected, -corrected)])
        # Each pair is judged alone; this is the probability that one alone is true, or none, given that at most one is.
        only = [sum(yes if i == option else no for i, (yes, no) in enumerate(logs)) for option in range(-1, len(logs))]
        weights = [math.exp(log - max(only)) for log in only]
        expected += [weight / sum(weights) for weight in weights]
    assert school.ask(student, queries=asked).distribution.tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("inference", ["float32", "bfloat16"])
def test_answers_hang_neither_on_batches_nor_on_neighbours_nor_on_the_order_of_candidates(
    school, world, checkpoints, inference
):
    student = tiny(checkpoints["roberta"], inference=inference)
    checkpoint, answers = school.teach(student), school.ask(student)
    alone = school.ask(replace(student, inference_batch=1), checkpoint)
    assert np.abs(alone.distribution - answers.distribution).max() < 1e-5
    few = world.unseen[::5]
    assert np.abs(school.ask(student, queries=few).distribution - answers.of(few).distribution).max() < 1e-5
    rows = world.task.candidates.table.to_pylist()
    _, offsets = world.task.candidates.of(world.task.candidates.query_ids)
    sizes = np.diff(offsets)
    for row in rows:  # the last comes first
        row["position"] = int(sizes[row["query_id"]]) + 1 - row["position"]
    turned = replace(world.task, candidates=CandidateSet(pa.Table.from_pylist(rows, CandidateSet.SCHEMA), key="turned"))
    others = school.ask(student, task=turned)
    told = [
        {(q, c): p for q, own, shared in zip(*(a.table[x].to_pylist() for x in columns), strict=True)
         for c, p in zip([None, *own], shared, strict=True)}
        for a in (answers, others)
        for columns in [("query_id", "options", "distribution")]
    ]  # fmt: skip
    assert told[0].keys() == told[1].keys()
    assert max(abs(told[0][key] - told[1][key]) for key in told[0]) < 1e-5


def test_bfloat16_answers_are_close_to_those_in_float32(school, checkpoints):
    student = tiny(checkpoints["bert"])
    full = school.ask(student)
    half = school.ask(replace(student, inference="bfloat16"), school.teach(student))
    assert np.abs(half.distribution - full.distribution).mean() < 0.02
    assert (half.choice == full.choice).mean() > 0.95


@pytest.mark.parametrize("none", ["zero", "learned"])
@pytest.mark.parametrize("pooling", ["first", "mean", "compare"])
@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_learning_and_answering_compute_the_same_logits(world, checkpoints, kind, pooling, none):
    """Padded batches of queries on one side, unpadded groups of equally long pairs on the other."""
    student = tiny(checkpoints[kind], pooling=pooling, none=none, pairs_at_once=5)
    lesson = Lesson.of(world.task, world.answers(world.taught[:20]), soft=False)
    encoder, tokenizer = load_encoder(checkpoints[kind], None)
    network = student._network(encoder, tokenizer).eval()
    torch.nn.init.normal_(network.head.weight, std=1.0)
    text = PairText(tokenizer, "plain", None, 48)
    exercises = Exercises.of([lesson], text)
    logits = pair_logits(network, exercises.pairs, exercises.offsets, 7)
    assert np.ptp(logits) > 0.1
    for queries in (np.arange(20), np.array([3, 17, 5])):
        with torch.no_grad():
            log_p = network.log_probabilities(exercises.tensors(queries))
        for row, query in enumerate(queries):
            own = logits[exercises.offsets[query] : exercises.offsets[query + 1]]
            found = (log_p[row, 1 : len(own) + 1] - log_p[row, 0]).tolist()
            assert found == pytest.approx(own.tolist(), abs=1e-4)
            assert torch.isinf(log_p[row, len(own) + 1 :]).all()
