"""Sets of labelled pairs: each pair a query of its own, the given split, the field's F1."""

import csv
import gzip
import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from conformance import built, composed
from matching_instances import DATA, needs_data
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score

from distiller.artifacts import AnswerSet
from distiller.blocker.given import Given as GivenBlocker
from distiller.config import DistillerError
from distiller.dataset.pair_set import PairSet
from distiller.metrics import Truth, score_answers
from distiller.protocol.given import Given as GivenProtocol

pytestmark = needs_data
SMALL = PairSet(name="beer-structured", root=DATA)


def lines(name, stem):
    with gzip.open(DATA / "pairs" / name / f"{stem}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_pair_is_a_query_with_one_candidate_in_the_order_of_the_files():
    records = SMALL.load()
    rows = [(part, row) for part in ("train", "valid", "test") for row in lines("beer-structured", part)]
    assert records.parts.to_pylist() == [part for part, _ in rows]
    assert records.query_names.to_pylist() == [f"{part}-{row['pair_id']}" for part, row in rows]
    for table, prefix in ((records.queries, "left_"), (records.candidates, "right_")):
        assert table["id"].to_pylist() == list(range(len(rows)))
        for name in table.column_names[1:]:
            assert table[name].to_pylist() == [
                (row[prefix + name].strip() and row[prefix + name]) or None for _, row in rows
            ]
    positive = [i for i, (_, row) in enumerate(rows) if row["label"] == "1"]
    assert records.matches.to_pydict() == {"query_id": positive, "candidate_id": positive}


def test_a_size_takes_other_training_pairs_and_the_same_test_pairs():
    small, medium = (PairSet(name="wdc-watches", size=size, root=DATA).load() for size in ("small", "medium"))
    assert small.name == "wdc-watches-small"
    counts = [
        {part: records.parts.to_pylist().count(part) for part in ("train", "valid", "test")}
        for records in (small, medium)
    ]
    assert counts == [{"train": 1756, "valid": 413, "test": 1012}, {"train": 4902, "valid": 1267, "test": 1012}]
    assert small.queries["title"].to_pylist()[-1012:] == medium.queries["title"].to_pylist()[-1012:]


def test_gold_split_and_pairs_are_all_part_of_the_key_and_gold_is_taken_away():
    records = SMALL.load()
    assert records.key == SMALL.load().key
    assert records.without_gold().matches is None
    assert records.without_gold().parts.equals(records.parts)
    assert replace(records, parts=records.parts[::-1]).key != records.key
    assert replace(records, pairs=records.pairs.slice(1)).key != records.key
    plain = replace(records, parts=None, pairs=None)
    assert len({plain.key, replace(plain, matches=None).key, records.key}) == 3


def test_the_given_pairs_have_the_cosine_of_scikit_learn():
    records = SMALL.load()
    found = GivenBlocker().block(records.without_gold(), 1)
    assert found.query_ids.tolist() == found.candidate_ids.tolist() == list(range(450))
    sides = [
        [" ".join(value or "" for name, value in row.items() if name != "id") for row in table.to_pylist()]
        for table in (records.queries, records.candidates)
    ]
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4), sublinear_tf=True).fit(sides[0] + sides[1])
    a, b = (vectors.transform(side) for side in sides)
    expected = np.asarray(a.multiply(b).sum(1)).ravel()
    assert np.allclose(found.similarity, expected, atol=1e-5)


def test_the_protocol_follows_the_split_and_uses_validation_only_if_told():
    records = SMALL.load().without_gold()
    everyone = records.query_ids
    parts = np.array(records.parts.to_pylist())
    protocol = GivenProtocol()
    assert protocol.pool(everyone, records).tolist() == everyone[parts == "train"].tolist()
    assert protocol.test(everyone, everyone[:5], records).tolist() == everyone[parts == "test"].tolist()
    both = GivenProtocol(validation=True)
    assert both.pool(everyone, records).tolist() == everyone[parts != "test"].tolist()
    for where in (None, built("dataset=synthetic", "dataset.queries=20", "dataset.candidates=20").dataset.load()):
        with pytest.raises(DistillerError, match="protocol=given needs a dataset with a split of its own"):
            protocol.pool(everyone, where)


def test_pair_f1_is_the_binary_f1_of_the_field():
    records = SMALL.load()
    candidates = GivenBlocker().block(records, 1)
    test = GivenProtocol().test(records.query_ids, records.query_ids[:0], records)
    truth = Truth.of(candidates, records.matches, test)
    said = np.random.default_rng(2).integers(0, 2, len(test))
    rows, offsets = candidates.of(test)
    scores = score_answers(AnswerSet.make("x", test, candidates.candidate_ids[rows], offsets, said), truth)
    gold = [int(row["label"]) for row in lines("beer-structured", "test")]
    assert scores["pair_f1"] == pytest.approx(f1_score(gold, said))
    assert scores["selection_accuracy"] == pytest.approx(np.mean(np.array(gold) == said))


def test_choosing_a_pair_set_brings_its_pairs_and_its_split_unless_told_otherwise():
    config = composed("dataset=beer-structured")
    assert config.blocker._target_.endswith("given.Given")
    assert config.protocol._target_.endswith("given.Given")
    assert composed("dataset=beer-structured", "protocol=paper").protocol._target_.endswith("paper.Paper")


def test_what_is_missing_is_named_with_the_way_out(tmp_path):
    with pytest.raises(DistillerError, match=r"set data\.root= to a folder that holds pairs/beer-structured"):
        PairSet(name="beer-structured").load()
    with pytest.raises(DistillerError, match="did you mean 'beer-structured'"):
        PairSet(name="beer-structure", root=DATA).load()
    with pytest.raises(DistillerError, match=r"choose another dataset\.size"):
        PairSet(name="wdc-watches", size="large", root=DATA).load()
    folder = tmp_path / "pairs" / "own"
    folder.mkdir(parents=True)
    text = "pair_id,label,left_name,right_name\n0,2,a,b\n1,0,c,d\n"
    for part in ("train", "valid", "test"):
        with gzip.open(folder / f"{part}.csv.gz", "wt") as file:
            file.write(text)
    with pytest.raises(DistillerError, match="has the labels 2; a pair is labelled 0 or 1"):
        PairSet(name="own", root=tmp_path).load()
    with pytest.raises(DistillerError, match="blocker=given: synthetic gives no pairs"):
        GivenBlocker().block(
            built("dataset=synthetic", "dataset.queries=20", "dataset.candidates=20").dataset.load(), 1
        )


def test_pairs_of_a_query_with_several_candidates_stand_most_similar_first():
    records = SMALL.load()
    asked = np.repeat(np.arange(6), 4)
    others = np.random.default_rng(4).permutation(24)
    several = replace(records, pairs=pa.table({"query_id": asked, "candidate_id": others}))
    found = GivenBlocker().block(several, 1)
    assert found.query_ids.tolist() == list(range(6))
    for query in range(6):
        rows, _ = found.of(np.array([query]))
        assert sorted(found.candidate_ids[rows].tolist()) == sorted(others[asked == query].tolist())
        assert (np.diff(found.similarity[rows]) <= 0).all()
        assert math.isfinite(float(found.similarity[rows].sum()))
