"""The benchmark datasets as they lie on disk, read by us and by the csv module."""

import csv
import gzip
import json
import os
import shutil
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from distiller.config import DistillerError, build
from distiller.dataset.benchmark import Benchmark
from distiller.dataset.paper import Paper

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("DISTILLER_DATA") or ROOT.parent / "shared" / "data")
EIGHT = [
    "abt-buy",
    "amazon-google",
    "dblp-acm",
    "imdb-tmdb",
    "imdb-tvdb",
    "tmdb-tvdb",
    "walmart-amazon",
    "dblp-scholar",
]
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs DISTILLER_DATA")


def composed(*overrides: str) -> object:
    """The `dataset` of the configuration, as the command line gives it."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("config", overrides=[*overrides, f"data.root={DATA}"])


def rows(path: Path) -> list[list[str]]:
    with (
        gzip.open(path, "rt", encoding="utf-8", newline="") if path.suffix == ".gz" else open(path, newline="") as file
    ):
        return list(csv.reader(file))


@pytest.mark.parametrize("name", [*EIGHT, "febrl4"])
def test_every_benchmark_is_read_cell_by_cell_as_it_is_written(name: str) -> None:
    records = build(composed(f"dataset={name}").dataset).load()  # type: ignore[attr-defined]
    described = json.loads((DATA / name / "dataset.json").read_text())
    assert records.name == name
    assert records.folder == DATA / name
    assert records.query_names is None
    assert records.candidate_names is None
    for table, file, n_rows in [
        (records.queries, "left.csv.gz", described["left_rows"]),
        (records.candidates, "right.csv.gz", described["right_rows"]),
    ]:
        header, *cells = rows(DATA / name / file)
        cells.sort(key=lambda row: int(row[0]))
        assert table.num_rows == n_rows == len(cells)
        assert table.column_names == header
        for i, column in enumerate(header):
            values = [row[i] for row in cells]
            expected = [int(v) for v in values] if column == "id" else [v if v.strip() else None for v in values]
            assert table[column].to_pylist() == expected
    assert records.matches is not None
    pairs = [(m["query_id"], m["candidate_id"]) for m in records.matches.to_pylist()]
    assert pairs == sorted((int(a), int(b)) for a, b in rows(DATA / name / "matches.csv")[1:])
    assert len(pairs) == described["matches"]


def test_the_paper_is_its_eight_datasets_in_the_order_of_the_configuration() -> None:
    config = composed("dataset=paper")
    paper = build(config.dataset)  # type: ignore[attr-defined]
    assert isinstance(paper, Paper)
    assert list(paper.parts()) == EIGHT
    assert all(isinstance(part, Benchmark) and part.dataset_name() == name for name, part in paper.parts().items())
    assert paper.parts()["abt-buy"].load().name == "abt-buy"
    with pytest.raises(DistillerError, match="several datasets"):
        paper.load()


@pytest.mark.parametrize("name", [*EIGHT, "febrl4", "paper"])
def test_a_benchmark_brings_its_recorded_candidates_unless_told_otherwise(name: str) -> None:
    assert composed(f"dataset={name}").blocker._target_.endswith("recorded.Recorded")  # type: ignore[attr-defined]
    assert not composed(f"dataset={name}", "blocker=tfidf").blocker._target_.endswith("Recorded")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("names", "said"), [("[]", "at least 1 item"), ("[abt-buy,abt-buy]", "each dataset once"), ("[../x]", "pattern")]
)
def test_a_collection_that_makes_no_sense_is_refused_before_any_work(names: str, said: str) -> None:
    with pytest.raises(DistillerError, match=said):
        build(composed("dataset=paper", f"dataset.names={names}").dataset)  # type: ignore[attr-defined]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with our own copy of a benchmark, to be damaged."""
    (tmp_path / "abt-buy").mkdir()
    for file in ("left.csv.gz", "right.csv.gz", "matches.csv"):
        shutil.copyfile(DATA / "abt-buy" / file, tmp_path / "abt-buy" / file)
    return tmp_path


def test_the_key_of_a_benchmark_depends_on_contents_and_not_on_where_they_lie_or_in_what_order(copy: Path) -> None:
    here, there = Benchmark(name="abt-buy", root=copy), Benchmark(name="abt-buy", root=DATA)
    assert here.load().key == there.load().key
    header, *lines = rows(copy / "abt-buy" / "left.csv.gz")
    with gzip.open(copy / "abt-buy" / "left.csv.gz", "wt", newline="") as file:
        csv.writer(file).writerows([header, *reversed(lines)])
    assert here.load().key == there.load().key
    lines[0][1] += "!"
    with gzip.open(copy / "abt-buy" / "left.csv.gz", "wt", newline="") as file:
        csv.writer(file).writerows([header, *lines])
    assert here.load().key != there.load().key


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("matches.csv", None, r"no file .*matches\.csv"),
        ("left.csv.gz", b"id,name\n1,a\n", r"left\.csv\.gz is no whole gzip file"),
        ("left.csv.gz", "truncated", r"left\.csv\.gz is no whole gzip file"),
        (
            "right.csv.gz",
            gzip.compress(b"id,name\nB01,a\n"),
            r"right\.csv\.gz: ids in column 'id' must be whole numbers",
        ),
        ("right.csv.gz", gzip.compress(b"id,name\n1,a\n1,b\n"), "1 ids occur more than once"),
        ("right.csv.gz", gzip.compress(b"number,name\n1,a\n"), r"right\.csv\.gz has no column 'id'"),
        ("matches.csv", b"left_id,right_id\n0,999999\n", "1 ids are not in the candidates of abt-buy"),
        ("matches.csv", b"a,b\n0,1\n", r"matches\.csv has no column 'left_id'"),
    ],
)
def test_a_damaged_benchmark_is_one_sentence_that_names_the_file(
    copy: Path, file: str, content: bytes | str | None, said: str
) -> None:
    path = copy / "abt-buy" / file
    whole = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(whole[:-500] if isinstance(content, str) else content)
    with pytest.raises(DistillerError, match=said) as raised:
        Benchmark(name="abt-buy", root=copy).load()
    assert "\n" not in str(raised.value)
