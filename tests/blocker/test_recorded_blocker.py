"""Candidates recorded with a dataset."""

import csv
import gzip
import os
from pathlib import Path

import pyarrow as pa
import pytest

from distiller.blocker.recorded import Recorded
from distiller.config import DistillerError
from distiller.dataset.benchmark import Benchmark
from distiller.records import checked

DATA = Path(os.environ.get("DISTILLER_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="DISTILLER_DATA names no folder of benchmark datasets")


def records_with(folder, text=None):
    """Two queries and two candidates whose folder holds this text as candidates."""
    if text is not None:
        with gzip.open(folder / "candidates.csv.gz", "wt") as file:
            file.write(text)
    table = pa.table({"id": [1, 2], "name": ["a", "b"]})
    return checked("toy", table, table, None, folder=folder)


@needs_data
@pytest.mark.parametrize("name", ["abt-buy", "imdb-tvdb"])
def test_every_recorded_pair_comes_back_as_it_is(name):
    records = Benchmark(name=name, root=DATA).load()
    rows = Recorded().block(records, 2).table.to_pylist()
    with gzip.open(DATA / name / "candidates.csv.gz", "rt") as file:
        recorded = {(int(r["left_id"]), int(r["right_id"])): r for r in csv.DictReader(file)}
    assert len(rows) == len(recorded)
    for row in rows:
        line = recorded[row["query_id"], row["candidate_id"]]
        assert row["position"] == int(line["position"])
        assert row["similarity"] == pytest.approx(float(line["score"]))


def test_scores_are_clipped_to_the_range_of_similarities(tmp_path):
    text = "left_id,right_id,position,score\n1,1,1,1.0001\n1,2,2,-0.3\n"
    table = Recorded().block(records_with(tmp_path, text), 1).table
    assert table["similarity"].to_pylist() == [1, 0]


def test_the_file_decides_the_result_and_is_named(tmp_path):
    records_with(tmp_path, "left_id,right_id,position,score\n1,1,1,0.5\n")
    assert Recorded().reads(tmp_path) == [tmp_path / "candidates.csv.gz"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "has no candidates, .* is missing; choose blocker=tfidf"),
        ("left_id,right_id,score\n1,1,0.5\n", "cannot be read: .*position.*; it needs the columns left_id"),
        ("left_id,right_id,position,score\n1,x,1,0.5\n", "cannot be read: .*'x'"),
        ("left_id,right_id,position,score\n1,,1,0.5\n", "has empty cells in .*right_id"),
        ("left_id,right_id,position,score\n", "has empty cells in all columns"),
        (
            "left_id,right_id,position,score\n1,9,1,0.5\n",
            "1 ids are not in the candidates of toy, although candidates.csv.gz",
        ),
        ("left_id,right_id,position,score\n1,1,1,0.5\n1,1,2,0.5\n", "names some pair twice"),
        ("left_id,right_id,position,score\n1,1,2,0.5\n", "positions"),
    ],
)
def test_faults_of_the_file_are_one_sentence(tmp_path, text, message):
    with pytest.raises(DistillerError, match=message) as fault:
        Recorded().block(records_with(tmp_path, text), 1)
    assert "\n" not in str(fault.value)


def test_a_dataset_without_recorded_parts_is_an_error():
    with pytest.raises(DistillerError, match="without recorded parts; choose blocker=tfidf"):
        Recorded().reads(None)


def test_a_file_that_is_no_gzip_is_an_error(tmp_path):
    (tmp_path / "candidates.csv.gz").write_bytes(b"left_id,right_id,position,score\n1,1,1,0.5\n")
    with pytest.raises(DistillerError, match="cannot be read"):
        Recorded().block(records_with(tmp_path), 1)
