"""Anybody's own files: whatever their format, the same records come out, and every fault is one sentence."""

import csv
import datetime
import decimal
import gzip
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from distiller.config import ConfigurationError, DistillerError, build
from distiller.dataset.delimited import read_delimited
from distiller.dataset.readers import read_text_table
from distiller.dataset.tables import Tables

YAML = Path(__file__).parents[2] / "conf" / "dataset" / "tables.yaml"
steady = settings(deadline=None, derandomize=True, max_examples=60)

ROWS = [
    {"id": "b7", "name": "Sony, black", "price": "3.50"},
    {"id": "a1", "name": 'a 7" screen\nwith stand', "price": None},
    {"id": "Ä9", "name": "Müller | Söhne; tab\there", "price": "12"},
]


def as_csv(rows: list[dict[str, Any]], delimiter: str = ",", end: str = "\n") -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter, lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def as_json_lines(rows: list[dict[str, Any]]) -> bytes:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()


def as_parquet(rows: list[dict[str, Any]], n_rows: int | None = None) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows).slice(0, n_rows), out)
    return out.getvalue()


FORMATS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "comma.csv": as_csv,
    "semicolon.csv": lambda rows: as_csv(rows, ";"),
    "bar.txt": lambda rows: as_csv(rows, "|"),
    "tab.csv": lambda rows: as_csv(rows, "\t"),
    "tab.tsv": lambda rows: as_csv(rows, "\t"),
    "windows.csv": lambda rows: b"\xef\xbb\xbf" + as_csv(rows, ";", "\r\n"),
    "packed.csv.gz": lambda rows: gzip.compress(as_csv(rows)),
    "packed_twice.csv.gz": lambda rows: gzip.compress(as_csv(rows)[:30]) + gzip.compress(as_csv(rows)[30:]),
    "lines.jsonl": as_json_lines,
    "marked.ndjson": lambda rows: b"\xef\xbb\xbf" + as_json_lines(rows) + b"\n\n",
    "packed.jsonl.gz": lambda rows: gzip.compress(as_json_lines(rows)),
    "columns.parquet": as_parquet,
}


def written(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_table(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name, FORMATS[name](ROWS))
    table = read_text_table(path)
    assert table.to_pylist() == ROWS
    assert all(column.type == pa.string() for column in table.columns)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_records(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name, FORMATS[name](ROWS))
    plain = written(tmp_path, "plain.csv", as_csv(ROWS))
    pairs = written(tmp_path, "m.csv", "query,candidate\na1,b7\nÄ9,Ä9\n")
    records = Tables(queries=path, candidates=path, matches=pairs).load()
    assert records.key == Tables(queries=plain, candidates=plain, matches=pairs).load().key
    assert records.query_names.to_pylist() == ["a1", "b7", "Ä9"]  # type: ignore[union-attr]
    assert records.queries["id"].to_pylist() == [0, 1, 2]
    assert records.queries["price"].to_pylist() == [None, "3.50", "12"]
    assert records.matches.to_pylist() == [  # type: ignore[union-attr]
        {"query_id": 0, "candidate_id": 1},
        {"query_id": 2, "candidate_id": 2},
    ]


# Characters that CSV can carry: the csv module reads "\r" within quotes back as it was, but not a lone surrogate.
CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"), max_size=8)


@steady
@given(
    header=st.lists(st.text("abcdefgh", min_size=1, max_size=3), min_size=1, max_size=4, unique=True),
    data=st.data(),
    delimiter=st.sampled_from(",;\t|#"),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_any_text_survives_being_written_and_read(
    tmp_path_factory: pytest.TempPathFactory, header: list[str], data: st.DataObject, delimiter: str, end: str
) -> None:
    cells = st.lists(CELL, min_size=len(header), max_size=len(header))
    rows = data.draw(st.lists(cells, min_size=1, max_size=5))
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([header, *rows])
    path = written(tmp_path_factory.getbasetemp(), "any.csv", out.getvalue())
    table = read_delimited(path, delimiter)
    assert table.column_names == header
    assert [list(row.values()) for row in table.to_pylist()] == [[cell or None for cell in row] for row in rows]


@steady
@given(
    st.lists(st.lists(st.text("ab ,;|\t\"'\n", max_size=10), min_size=3, max_size=3), min_size=1, max_size=6),
    st.sampled_from(",;\t|"),
)
def test_the_delimiter_is_found_whatever_the_values_hold(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], delimiter: str
) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows([["name", "maker", "price"], *rows])
    path = written(tmp_path_factory.getbasetemp(), "found.csv", out.getvalue())
    table = read_delimited(path)
    assert table.column_names == ["name", "maker", "price"]
    assert [list(row.values()) for row in table.to_pylist()] == [[cell or None for cell in row] for row in rows]


def test_a_file_larger_than_what_is_looked_at_first_is_read_to_its_end(tmp_path: Path) -> None:
    rows = [{"id": str(i), "name": f"thing; {i}\nof many"} for i in range(20_000)]
    assert read_text_table(written(tmp_path, "large.csv", as_csv(rows))).to_pylist() == rows
    assert read_text_table(written(tmp_path, "large.jsonl", as_json_lines(rows * 3))).num_rows == 60_000


def test_a_value_of_a_million_characters_is_read(tmp_path: Path) -> None:
    long = "many words " * 100_000
    table = read_text_table(written(tmp_path, "long.csv", as_csv([{"id": "1", "text": long, "more": "a\nb"}])))
    assert table["text"].to_pylist() == [long]


def test_numbers_of_parquet_are_written_as_a_person_would(tmp_path: Path) -> None:
    utc = datetime.UTC
    columns: dict[str, Any] = {
        "float": [3.0, 0.1, 1e10, -2.0, math.nan, None],
        "single": pa.array([3.0, 0.1, 12345678.0, -2.5, math.nan, None], pa.float32()),
        "whole": [3, 0, 10**17, -2, 7, None],
        "exact": [decimal.Decimal(v) if v else None for v in ("3.00", "0.10", "10.00", "-2.50", "0.00", None)],
        "truth": [True, False, None, True, True, True],
        "day": [datetime.date(2020, 1, 2)] * 6,
        "midnight": [datetime.datetime(2020, 1, 2)] * 6,
        "instant": [datetime.datetime(2020, 1, 2, 3, 4, tzinfo=utc)] * 5 + [None],
        "list": [["a", "ü"], [], None, ["b"], ["c"], ["d"]],
        "object": [{"a": 1, "b": None}] * 6,
        "category": pa.array(["x", "y", None, "x", "x", "x"]).dictionary_encode(),
        "nothing": pa.nulls(6),
    }
    path = tmp_path / "typed.parquet"
    pq.write_table(pa.table(columns), path)
    table = read_text_table(path)
    assert {name: table[name].to_pylist() for name in table.column_names} == {
        "float": ["3", "0.1", "10000000000", "-2", None, None],
        "single": ["3", "0.1", "12345678", "-2.5", None, None],
        "whole": ["3", "0", "100000000000000000", "-2", "7", None],
        "exact": ["3", "0.10", "10", "-2.50", "0", None],
        "truth": ["true", "false", None, "true", "true", "true"],
        "day": ["2020-01-02"] * 6,
        "midnight": ["2020-01-02"] * 6,
        "instant": ["2020-01-02 03:04:00Z"] * 5 + [None],
        "list": ['["a", "ü"]', "[]", None, '["b"]', '["c"]', '["d"]'],
        "object": ['{"a": 1, "b": null}'] * 6,
        "category": ["x", "y", None, "x", "x", "x"],
        "nothing": [None] * 6,
    }


def test_values_of_json_are_written_as_a_person_would_and_need_not_be_of_one_type(tmp_path: Path) -> None:
    rows = [
        {"id": 1, "price": 3.0, "when": "2020-01-02 00:00:00"},
        {"id": 2, "price": "on request", "tags": ["ä", 1]},
        {"id": 3, "price": 2.5, "sold": True, "when": None},
    ]
    table = read_text_table(written(tmp_path, "mixed.jsonl", as_json_lines(rows)))
    assert table.to_pylist() == [
        {"id": "1", "price": "3", "when": "2020-01-02 00:00:00", "tags": None, "sold": None},
        {"id": "2", "price": "on request", "when": None, "tags": '["ä", 1]', "sold": None},
        {"id": "3", "price": "2.5", "when": None, "tags": None, "sold": "true"},
    ]


@steady
@given(st.permutations(ROWS), st.permutations(ROWS))
def test_records_do_not_depend_on_the_order_of_rows(
    tmp_path_factory: pytest.TempPathFactory, queries: list[dict[str, Any]], candidates: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    keys, names = set(), set()
    for one, other in ((queries, candidates), (ROWS, ROWS)):
        a, b = written(folder, "a.csv", as_csv(one)), written(folder, "b.csv", as_csv(other))
        m = written(folder, "m.csv", "q,c\nb7,a1\nÄ9,b7\n")
        records = Tables(queries=a, candidates=b, matches=m).load()
        keys.add(records.key)
        names.add(tuple(records.candidate_names.to_pylist()))  # type: ignore[union-attr]
    assert len(keys) == len(names) == 1


def test_whole_numbers_are_kept_as_ids_and_other_ids_are_named(tmp_path: Path) -> None:
    whole = written(tmp_path, "whole.csv", "id,name\n30,c\n4,a\n")
    zeros = written(tmp_path, "zeros.csv", "id,name\n007,c\n7,a\n")
    records = Tables(queries=whole, candidates=zeros).load()
    assert records.queries["id"].to_pylist() == [4, 30]
    assert records.query_names is None
    assert records.candidates["id"].to_pylist() == [0, 1]
    assert records.candidate_names.to_pylist() == ["007", "7"]  # type: ignore[union-attr]
    assert records.matches is None


def test_without_an_id_column_rows_are_numbered_from_0(tmp_path: Path) -> None:
    a = written(tmp_path, "a.csv", "name,price\nx,1\ny,2\n")
    b = written(tmp_path, "b.csv", "ID,name\np,x\nq,y\n")
    m = written(tmp_path, "m.csv", "a,b\n1,p\n")
    records = Tables(queries=a, candidates=b, matches=m).load()
    assert records.queries.to_pylist() == [{"id": 0, "name": "x", "price": "1"}, {"id": 1, "name": "y", "price": "2"}]
    assert records.candidates.column_names == ["id", "name"]
    assert records.matches.to_pylist() == [{"query_id": 1, "candidate_id": 0}]  # type: ignore[union-attr]


def test_named_columns_identify_records_and_an_attribute_called_id_stays(tmp_path: Path) -> None:
    a = written(tmp_path, "a.csv", "id,sku,name\n1, s1 ,x\n1,s2,y\n")
    b = written(tmp_path, "b.parquet", as_parquet([{"ean": 5.0, "name": "x"}, {"ean": 6.0, "name": None}]))
    m = written(tmp_path, "m.jsonl", '{"score": 1, "found": 6, "asked": "s2"}\n')
    records = Tables(
        queries=a,
        candidates=b,
        matches=m,
        query_id="sku",
        candidate_id="ean",
        match_query="asked",
        match_candidate="found",
    ).load()
    assert records.queries.to_pylist() == [{"id": 0, "_id": "1", "name": "x"}, {"id": 1, "_id": "1", "name": "y"}]
    assert records.query_names.to_pylist() == ["s1", "s2"]  # type: ignore[union-attr]
    assert records.candidates["id"].to_pylist() == [5, 6]
    assert records.matches.to_pylist() == [{"query_id": 1, "candidate_id": 6}]  # type: ignore[union-attr]


def test_a_stated_delimiter_is_used_and_a_column_without_a_name_gets_one(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "#name#price\n0#a, b, c#1\n")
    for delimiter in ("#",):
        table = Tables(queries=path, candidates=path, delimiter=delimiter).load().queries
        assert table.to_pylist() == [{"id": 0, "column_1": "0", "name": "a, b, c", "price": "1"}]
    tabs = written(tmp_path, "b.csv", "name\tprice\na\t1\n")
    for delimiter in ("tab", "\\t", "\t"):
        assert Tables(queries=tabs, candidates=tabs, delimiter=delimiter).load().queries.num_columns == 3


BAD_TABLES: dict[str, tuple[str, bytes | None, str]] = {
    "no such file": ("a.csv", None, "there is no file"),
    "no bytes": ("a.csv", b"", "is empty"),
    "blank lines": ("a.csv", b"\n\n", "is empty"),
    "no bytes, packed": ("a.csv.gz", gzip.compress(b""), "is empty"),
    "a header only": ("a.csv", b"id,name\n", "has a header but no rows"),
    "no rows": ("a.parquet", as_parquet(ROWS, n_rows=0), "has columns but no rows"),
    "no JSON rows": ("a.jsonl", b"\n", "is empty"),
    "a short row": ("a.csv", b"id,name,price\n1,a,2\n2,b\n", "line 3: 2 values where the header has 3"),
    "a long row after a broken line": (
        "a.csv",
        b'id,name\n1,"a\nb"\n2,b,c\n',
        "line 4: 3 values where the header has 2",
    ),
    "an open quote": ("a.csv", b'id,name\n1,x\n2,"a\n3,b\n', "the row that begins in line 3: unexpected end of data"),
    "a forgotten quote": ("a.csv", b'id,name\n1,"a\n2,b"x"\n', "the row that begins in line 2"),
    "Latin-1": ("a.csv", "id,name\n1,a\n2,Müller\n".encode("latin-1"), r"not UTF-8 text \(line 3, byte 0xfc\)"),
    "Latin-1 far down": ("a.csv", b"id,name\n" + b"1,abcdefgh\n" * 20_000 + b"2,\xfc\n", r"line 20002, byte 0xfc"),
    "Latin-1, packed": ("a.csv.gz", gzip.compress(b"id,name\n1,\xe9\n"), r"not UTF-8 text \(line 2, byte 0xe9\)"),
    "UTF-16": ("a.csv", "id,name\n1,a\n".encode("utf-16"), r"not UTF-8 text \(line 1, byte 0xff\)"),
    "two columns of one name": ("a.csv", b"id,name, name\n1,a,b\n", "2 columns named 'name'"),
    "an unknown ending": ("a.xls", b"", "'.xls' is no known format; known: .csv"),
    "no ending": ("table", b"id\n", "no known format"),
    "no gzip": ("a.csv.gz", b"id,name\n1,a\n", "no whole gzip file"),
    "half a gzip": ("a.csv.gz", gzip.compress(as_csv(ROWS * 9))[:-30], "no whole gzip file"),
    "a large half of a gzip": ("a.csv.gz", gzip.compress(as_csv(ROWS * 9999), 0)[:-3], "no whole gzip file"),
    "no Parquet": ("a.parquet", b"id,name\n1,a\n", "no whole Parquet file"),
    "half a Parquet": ("a.parquet", as_parquet(ROWS)[:-100], "no whole Parquet file"),
    "gzip under another name": ("a.csv", gzip.compress(b"id,name\n1,a\n"), "not text but gzip"),
    "a workbook": ("a.csv", b"PK\x03\x04 and so on", "not text but a zip archive or a workbook"),
    "no JSON": ("a.jsonl", b'{"id": 1, "name": "a"}\n{"id": 2, "name"\n', "line 2: no JSON"),
    "a JSON list": ("a.jsonl", b'[{"id": 1}]\n', "line 1: a JSON list where an object is needed"),
    "an id twice": (
        "a.csv",
        b"id,name\nx,a\ny,b\nx,c\n",
        "1 ids in column 'id' occur more than once, the first is 'x'",
    ),
    "an id missing": ("a.csv", b"id,name\nx,a\n ,b\n", "1 rows have no id in column 'id'"),
    "ids only": ("a.csv", b"id\nx\ny\n", "no column beside its ids"),
    "bytes": (
        "a.parquet",
        as_parquet([{"id": "a", "picture": b"\xff\xd8"}]),
        "'picture' of type binary cannot be written",
    ),
}


@pytest.mark.parametrize("fault", BAD_TABLES)
@pytest.mark.parametrize("side", ["queries", "candidates"])
def test_a_bad_table_is_one_sentence_that_names_the_file(tmp_path: Path, fault: str, side: str) -> None:
    name, content, said = BAD_TABLES[fault]
    bad = written(tmp_path, name, content) if content is not None else tmp_path / name
    good = written(tmp_path, "good.csv", as_csv(ROWS))
    paths = {"queries": good, "candidates": good} | {side: bad}
    with pytest.raises(DistillerError, match=said) as raised:
        Tables(**paths).load()
    assert str(bad) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert ";" in str(raised.value)  # the way out


BAD_MATCHES = {
    "unknown queries": ("q,c\na1,b7\nzz,b7\nyy,b7\n", "2 of 3 matches in .* not in .*good.csv, the first is 'zz'"),
    "unknown candidates": ("q,c\na1,b8\n", "1 of 1 matches in .*, the first is 'b8'"),
    "an id missing": ("q,c\na1,\n", "the first is empty"),
    "one column": ("q\na1\n", "only the column 'q'"),
    "a header only": ("q,c\n", "has a header but no rows"),
}


@pytest.mark.parametrize("fault", BAD_MATCHES)
def test_bad_matches_are_one_sentence_that_names_the_file(tmp_path: Path, fault: str) -> None:
    content, said = BAD_MATCHES[fault]
    good, bad = written(tmp_path, "good.csv", as_csv(ROWS)), written(tmp_path, "m.csv", content)
    with pytest.raises(DistillerError, match=said) as raised:
        Tables(queries=good, candidates=good, matches=bad).load()
    assert str(bad) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("option", "given", "said"),
    [
        ("query_id", "nmae", "no column 'nmae'; did you mean 'name'.*dataset.query_id="),
        ("candidate_id", "zzz", "no column 'zzz'; known: id, name, price; set dataset.candidate_id="),
        ("match_query", "left", "no column 'left'; did you mean 'left_id'.*dataset.match_query="),
        ("match_candidate", "rigth_id", "did you mean 'right_id'.*dataset.match_candidate="),
    ],
)
def test_a_column_that_is_not_there_is_named_with_the_nearest(
    tmp_path: Path, option: str, given: str, said: str
) -> None:
    path = written(tmp_path, "a.csv", as_csv(ROWS))
    matches = written(tmp_path, "m.csv", "left_id,right_id\na1,b7\n")
    with pytest.raises(DistillerError, match=said):
        Tables(queries=path, candidates=path, matches=matches, **{option: given}).load()  # type: ignore[arg-type]


def test_a_folder_in_place_of_a_file_is_named(tmp_path: Path) -> None:
    for name in ("a.csv", "a.parquet", "a.jsonl"):
        (tmp_path / name).mkdir()
        with pytest.raises(DistillerError, match=rf"cannot read .*{name}: Is a directory"):
            read_text_table(tmp_path / name)


def test_the_configuration_lists_every_field_and_asks_for_both_tables(tmp_path: Path) -> None:
    config = OmegaConf.load(YAML)
    with pytest.raises(ConfigurationError) as raised:
        build(config)  # type: ignore[arg-type]
    assert raised.value.faults == [
        "queries: must be set, it has no default",
        "candidates: must be set, it has no default",
    ]
    path = written(tmp_path, "a.csv", as_csv(ROWS))
    config.queries = config.candidates = str(path)
    assert build(config) == Tables(queries=path, candidates=path)  # type: ignore[arg-type]
    config.delimiter = ",,"
    with pytest.raises(ConfigurationError, match="delimiter: must be one character"):
        build(config)  # type: ignore[arg-type]


def test_duplicates_within_one_table_are_pairs_of_two_records_seen_from_both(tmp_path: Path) -> None:
    rows = [{"id": name, "name": f"camera {name}"} for name in ("x", "b", "c")]
    table = written(tmp_path, "a.csv", as_csv(rows))
    pairs = written(tmp_path, "pairs.csv", as_csv([{"one": "x", "other": "b"}, {"one": "b", "other": "x"}]))
    records = Tables(queries=table, deduplicate=True, matches=pairs).load()
    assert records.one_table
    assert records.queries.equals(records.candidates)
    found = {(row["query_id"], row["candidate_id"]) for row in records.matches.to_pylist()}  # type: ignore[union-attr]
    names = records.query_names.to_pylist()  # type: ignore[union-attr]
    assert {(names[a], names[b]) for a, b in found} == {("x", "b"), ("b", "x")}


def test_one_table_is_not_the_pair_of_two_equal_ones(tmp_path: Path) -> None:
    table = written(tmp_path, "a.csv", as_csv(ROWS))
    assert Tables(queries=table, deduplicate=True).load().key != Tables(queries=table, candidates=table).load().key


@pytest.mark.parametrize("fields", [{"deduplicate": True, "candidates": Path("b.csv")}, {}])
def test_a_table_is_deduplicated_or_compared_with_another_not_both_or_neither(fields: dict) -> None:
    with pytest.raises(ValueError, match="candidates"):
        Tables(queries=Path("a.csv"), **fields)
