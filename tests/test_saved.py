"""A student's folder: what a run saved answers as the run did, in every kind of table, and runs nobody's code."""

import csv
import gc
import json
import os
import pickle
import shutil
import sys
import weakref
from pathlib import Path

import numpy as np
import pandas
import polars
import pyarrow as pa
import pyarrow.csv
import pytest
from command import here, kept, rows, succeeded, tabled
from trap import PICKLES, Trap

import distiller
from distiller.artifacts import CandidateSet, Checkpoint
from distiller.config import DistillerError
from distiller.dataset.tables import in_memory
from distiller.disambiguation.many_to_many import ManyToMany
from distiller.frames import arrow
from distiller.records import checked
from distiller.saved import _part, joined
from distiller.store import Store
from distiller.student_folder import write
from distiller.task import Task

IDS = {"query_id": "key", "candidate_id": "key"}


def text(path):
    with open(path, newline="", encoding="utf-8") as file:
        head, *lines = csv.reader(file)
    return pa.table(
        {name: pa.array(column, pa.string()) for name, column in zip(head, zip(*lines, strict=True), strict=True)}
    )


def words(tables, folder):
    return [
        *tabled(tables, matches=f"{tables}/gold.csv"),
        "student.rounds=20",
        "student.members=2",
        "logger=none",
        *here(folder),
    ]


@pytest.fixture(scope="module")
def run(command, tables, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    succeeded(command(*words(tables, folder), folder=folder))
    return folder / "run"


@pytest.fixture(scope="module")
def both(tables):
    return text(tables / "a.csv"), text(tables / "b.csv")


@pytest.fixture
def copied(run, tmp_path):
    """A copy of the student, to be damaged."""
    return Path(shutil.copytree(run / "student", tmp_path / "student"))


def pairs(table):
    return sorted((r["query_id"], r["candidate_id"], round(r["probability"], 6)) for r in table)


def test_on_the_tables_of_its_run_a_saved_student_gives_exactly_the_matches_of_the_run(run, both):
    expected = pairs({**r, "probability": float(r["probability"])} for r in rows(run / "matches.csv"))
    assert len(expected) > 20
    for place in (run, run / "student", str(run)):
        assert pairs(distiller.load(place).match(*both, **IDS).to_pylist()) == expected


def test_pandas_polars_and_arrow_give_the_same_matches_each_in_its_own_kind(run, both):
    student = distiller.load(run)
    expected = student.match(*both, **IDS)
    indexed = [table.to_pandas().set_index(pandas.Index(range(5, 5 + table.num_rows))) for table in both]
    for given, kind, listed in (
        (both, pa.Table, lambda t: t.to_pylist()),
        (indexed, pandas.DataFrame, lambda t: t.to_dict("records")),
        ([polars.from_arrow(table) for table in both], polars.DataFrame, lambda t: t.to_dicts()),
    ):
        found = student.match(*given, **IDS)
        assert isinstance(found, kind)
        assert listed(found) == expected.to_pylist()


def test_columns_that_mix_types_are_text_and_faults_of_tables_are_one_sentence(run, both):
    mixed = pandas.DataFrame({"a": [1, "x", None], 7: [1.5, float("nan"), 2.0]})
    found = arrow(mixed)
    assert found.to_pydict() == {"a": ["1", "x", None], "7": [1.5, None, 2.0]}
    student = distiller.load(run)
    twice = pa.table([both[0]["key"], both[0]["key"]], names=["key", "key"])
    for given, said in (
        ((both[0].to_pylist(), both[1]), "tables are pandas, polars or Arrow tables, got list"),
        ((twice, both[1]), "several columns of the name 'key'"),
        ((mixed["a"], both[1]), "got a pandas Series"),
        ((both[0].slice(0, 0), both[1]), "is empty"),
        ((both[0],), "candidate_id='key' names a column of a second table"),
    ):
        with pytest.raises(DistillerError, match=said) as told:
            student.match(*given, **IDS)
        assert "\n" not in str(told.value)
    strange = pa.table({"key": ["x"], "name": ["\u4e00\u4e01\u4e02\u4e03"]})
    with pytest.raises(DistillerError, match="found no pair that shares a character"):
        student.match(both[0], strange, **IDS)


def test_in_parts_every_query_is_answered_and_only_one_part_is_in_memory(run, both, tmp_path):
    student = distiller.load(run)
    with student.task(in_memory(*both, "key", "key")) as task:
        assert [part is task for part in student.parts(task, 10**6)] == [True]
        whole = student.answers(task)
        alive, places, answers = [], [], []
        for part in student.parts(task, 20):
            gc.collect()
            assert not [each for each in alive if each() is not None]
            assert not [place for place in places if place.exists()]
            assert 1 <= len(part.candidates.query_ids) <= 20
            answers.append(student.answers(part))
            assert part.features.matrix.size
            alive.append(weakref.ref(part.features))
            places.append(part.store.root)
            del part
        assert len(places) == -(-len(task.candidates.query_ids) // 20) > 2
        assert not places[-1].exists()
        parts = joined(answers)
        assert parts.query_ids.tolist() == whole.query_ids.tolist()
        for one, other in zip(parts.table["options"].to_pylist(), whole.table["options"].to_pylist(), strict=True):
            assert one == other
        ids = task.candidates.query_ids[:20].tolist()
        kept_pairs = [r for r in task.candidates.table.to_pylist() if r["query_id"] in ids]
        listed = {r["candidate_id"] for r in kept_pairs}
        few = checked(
            "tables",
            pa.Table.from_pylist([r for r in task.records.queries.to_pylist() if r["id"] in ids]),
            pa.Table.from_pylist([r for r in task.records.candidates.to_pylist() if r["id"] in listed]),
            None,
        )
        alone = Task(few, CandidateSet(pa.Table.from_pylist(kept_pairs, CandidateSet.SCHEMA)), Store(root=tmp_path), 2)
        by_hand = student.answers(alone).table.drop_columns(["seconds"]).to_pylist()
        whole_part = student.answers(_part(task, np.array(ids), Store(root=tmp_path / "other")))
        assert whole_part.table.drop_columns(["seconds"]).to_pylist() == by_hand
        with pytest.raises(DistillerError, match="chunk must be at least 1"):
            next(student.parts(task, 0))
    one = student.match(*both, **IDS, chunk=len(whole.query_ids)).to_pylist()
    assert one == student.match(*both, **IDS).to_pylist()


def test_a_record_is_never_its_own_match_and_a_pair_of_duplicates_is_listed_once(run, both):
    table = pa.concat_tables(both, promote_options="default")
    student = distiller.load(run)
    for resolver in (None, ManyToMany()):
        found = student.match(table, query_id="key", disambiguation=resolver).to_pylist()
        named = [(r["query_id"], r["candidate_id"]) for r in found]
        assert len(named) > 20
        assert all(one != other for one, other in named)
        assert len({frozenset(pair) for pair in named}) == len(named)
        assert all(one < other for one, other in named), "the record that comes first in the order of ids is the query"
    again = table.take(list(range(table.num_rows))[::-1])
    assert student.match(again, query_id="key", disambiguation=ManyToMany()).to_pylist() == found


def test_many_to_many_gives_all_candidates_more_probable_than_none(run, both):
    student = distiller.load(run)
    wanted = {}
    with student.task(in_memory(*both, "key", "key")) as task:
        queries, candidates = (names.to_pylist() for names in (task.records.query_names, task.records.candidate_names))
        for answer in student.answers(task).table.to_pylist():
            none, *shares = answer["distribution"]
            for candidate, share in zip(answer["options"], shares, strict=True):
                if share > none:
                    wanted[queries[answer["query_id"]], candidates[candidate]] = share / (share + none)
    found = student.match(*both, **IDS, disambiguation=ManyToMany()).to_pylist()
    assert {(r["query_id"], r["candidate_id"]) for r in found} == wanted.keys()
    for r in found:
        assert r["probability"] == pytest.approx(wanted[r["query_id"], r["candidate_id"]], abs=2e-6)


def test_a_run_of_many_to_many_matching_is_scored_in_a_form_of_its_own(command, run, tables, tmp_path):
    import pyarrow.parquet as pq

    folder = run.parent
    choice = ["disambiguation=many-to-many", f"hydra.run.dir={tmp_path}/run"]
    succeeded(command(*words(tables, folder), *choice, folder=tmp_path))
    card = json.loads((tmp_path / "run" / "scorecard.json").read_text())["datasets"]["tables"]
    claimed = {
        (r["query_id"], r["candidate_id"]) for r in rows(tmp_path / "run" / "matches.csv") if r["part"] == "test"
    }
    gold = {(r["query"], r["candidate"]) for r in rows(tables / "gold.csv")}
    score = card["student"]["many_to_many"]
    assert list(card["student"]) == ["plain", "many_to_many"]
    assert score["claimed_pairs"] == len(claimed) > 10
    assert score["pair_precision"] == pytest.approx(len(claimed & gold) / len(claimed))
    assert score["match_recall"] * score["claimed_pairs"] > 0
    outcomes = [
        r for r in pq.read_table(tmp_path / "run" / "outcomes.parquet").to_pylist() if r["form"] == "many_to_many"
    ]
    own = [r for r in outcomes if r["source"] == "student"]
    assert sum(r["claimed"] for r in own) == len(claimed)
    assert sum(r["hits"] for r in own) == len(claimed & gold)


def test_rationales_are_given_where_asked_for(run, both):
    student = distiller.load(run)
    plain, told = student.match(*both, **IDS), student.match(*both, **IDS, rationales=True)
    assert told.drop_columns(["rationale"]).equals(plain)
    assert all("is the best match" in r for r in told["rationale"].to_pylist())


def recipe(folder, **changes):
    own = json.loads((folder / "distiller.json").read_text())
    (folder / "distiller.json").write_text(json.dumps({**own, **changes}))


@pytest.mark.parametrize(
    "target",
    [
        *(
            "os.system",
            "subprocess.Popen",
            "trap_module.Own",
            "builtins.exec",
            "distiller.saved.load",
            "distiller.command.main",
        ),
        *(
            "distiller.command.__main__.main",
            "distiller.student.boosted.np",
            "distiller.student.base.Student",
            "distiller",
        ),
        *(
            "distiller.student.boosted._lightgbm",
            "distiller.blocker.tfidf.Records",
            "distiller.teacher.gold.Gold",
            7,
            None,
        ),
    ],
)
def test_a_recipe_that_names_other_code_than_components_of_students_is_refused(target, copied, tmp_path, monkeypatch):
    trap = Trap(tmp_path / "was-run")
    (tmp_path / "trap_module.py").write_text(f"open({str(trap.trace)!r}, 'w').write('x')\nclass Own: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    own = json.loads((copied / "distiller.json").read_text())
    for changes in ({"student": {**own["student"], "_target_": target}}, {"blocker": {"k": {"_target_": target}}}):
        recipe(copied, **{**own, **changes})
        with pytest.raises(DistillerError, match="is no component of distiller; do not trust this folder") as told:
            distiller.load(copied)
        assert "\n" not in str(told.value)
    assert not trap.sprung
    assert "trap_module" not in sys.modules


def test_a_pickle_in_the_folder_is_never_opened(copied, both, tmp_path):
    trap = Trap(tmp_path / "was-run")
    with pytest.raises(AssertionError, match="sprung"):
        pickle.loads(trap.pickled)  # it is one that works
    trap.trace.unlink()
    trap.lay(copied)
    assert distiller.load(copied).match(*both, **IDS).num_rows
    assert not trap.sprung
    own = json.loads((copied / "distiller.json").read_text())
    for name in (PICKLES[0], "../x.json", "/etc/x.json"):
        recipe(copied, files={**own["files"], name: "0"})
        with pytest.raises(DistillerError, match="which is no file of data in its folder; do not trust"):
            distiller.load(copied)


def test_what_cannot_be_loaded_is_said_in_one_sentence(copied, tmp_path):
    own = json.loads((copied / "distiller.json").read_text())
    weights = next(name for name in own["files"] if name.endswith(".txt"))

    def told():
        with pytest.raises(DistillerError) as error:
            distiller.load(copied)
        assert "\n" not in str(error.value)
        return str(error.value)

    for content, said in (
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("[]", "is of another format than 1"),
        (json.dumps({**own, "format": 2}), "use the version of distiller-er that it was made with"),
        (json.dumps({"format": 1}), "is damaged (see 'about')"),
        (json.dumps({**own, "trainer": 3}), "is damaged (see 'trainer')"),
        (json.dumps({**own, "student": {}}), "student is no student, but dict"),
        (json.dumps({**own, "blocker": own["student"]}), "blocker is no blocker, but Boosted"),
        (json.dumps({**own, "student": {**own["student"], "leave": 3}}), "did you mean 'leaves'?"),
        (json.dumps({**own, "student": {**own["student"], "leaves": "x"}}), "student cannot be built: leaves"),
        (json.dumps({**own, "student_version": 0}), "was made with version 0 of its student"),
        (json.dumps({**own, "features": 0}), "was made with version 0 of its features"),
    ):
        (copied / "distiller.json").write_text(content)
        assert said in told(), content[:80]
    (copied / "distiller.json").write_text(json.dumps(own))
    cut = (copied / weights).read_bytes()[:-50]
    (copied / weights).unlink()
    assert f"lacks {weights}; make the student again" in told()
    (copied / weights).write_bytes(cut)
    assert "is not as it was when the student was saved" in told()
    (copied / "distiller.json").unlink()
    assert "holds no student (it has no distiller.json); give the folder `student` of a run" in told()
    copied = tmp_path / "absent"
    assert "holds no student" in told()


def test_whatever_is_done_to_a_students_folder_leaves_the_store_as_it_was(command, run, tables, tmp_path):
    store = run.parent / "store"
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    linked = [path for path in (run / "student").iterdir() if path.stat().st_nlink > 1]
    assert linked, "weights cost no space"
    spare = Path(shutil.copytree(run, tmp_path / "spare", copy_function=os.link))
    shutil.rmtree(spare)
    manifests = kept(store)
    succeeded(command(*words(tables, run.parent), folder=tmp_path))
    assert kept(store) == manifests
    assert {path: path.read_bytes() for path in before if path.is_file()} == before
    assert not list(run.glob(".student*")), "nothing half-written is left"
    distiller.load(run)


def test_a_card_beside_the_weights_in_the_store_is_not_written_to(run, tmp_path):
    kept_there = Path(shutil.copytree(run / "student", tmp_path / "checkpoint"))
    (kept_there / "README.md").write_text("as it was")
    student = distiller.load(run)
    parts = {name: getattr(student, name) for name in ("blocker", "student", "disambiguation", "trainer")}
    write(tmp_path / "new", parts, Checkpoint(kept_there), student.about)
    assert (kept_there / "README.md").read_text() == "as it was"
    assert "taught by" in (tmp_path / "new" / "README.md").read_text()
    (tmp_path / "mine").mkdir()
    with pytest.raises(DistillerError, match="is there and holds no student"):
        write(tmp_path / "mine", parts, Checkpoint(kept_there), student.about)


def test_the_model_card_has_front_matter_that_the_hub_takes_and_tells_data_teacher_scores_and_licence(run):
    import yaml
    from huggingface_hub import ModelCard

    path = run / "student" / "README.md"
    card = ModelCard.load(path)
    front = yaml.safe_load(path.read_text().split("---")[1])
    assert front == {"library_name": "distiller-er", "tags": ["entity-resolution", "record-linkage"]}
    assert card.data.to_dict() == front
    scored = json.loads((run / "scorecard.json").read_text())
    best = scored["mean"]["student"]["one_to_one"]
    for said in (
        f"| one-to-one | {best['selection_accuracy']:.3f} | {best['pair_f1']:.3f} |",
        "* tables: 90 queries, 110 candidates,",
        "# Boosted, taught by",
        "the terms of the teacher's model or service, and those of the data, may restrict their use",
        "distiller match THIS_FOLDER",
    ):
        assert said in card.text, said


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            "FacebookAI/roberta-base",
            {"license": "mit", "base_model": "FacebookAI/roberta-base", "base_model_relation": "finetune"},
        ),
        ("someone/own.model", {"base_model": "someone/own.model", "base_model_relation": "finetune"}),
        ("/home/me/secret/model", {}),
        ("./model", {}),
    ],
)
def test_the_base_of_a_student_is_in_the_front_matter_where_the_hub_knows_it(model, expected, run):
    import yaml

    from distiller.model_card import text

    about = distiller.load(run).about
    card = text({"student": {"_target_": "distiller.student.encoder.Encoder", "model": model}, "about": about})
    front = yaml.safe_load(card.split("---")[1])
    assert {name: front[name] for name in front.keys() - {"library_name", "tags"}} == expected
    assert "/home/me" not in card
    assert "its licence" in card
