"""What is wrong on the command line or in the files it names is said in one sentence, with exit code 1."""

from pathlib import Path

import pytest
from command import QUIET, Commands, here, tabled


def wrong(tables: Path) -> dict[str, tuple[list[str], list[str]]]:
    """Name -> (words of the command, what the message must contain)."""
    real = ["dataset=abt-buy"]
    return {
        "a choice of no group": (["selectr=random"], ["selectr", "selector"]),
        "an unknown choice": (["selector=uncertainity"], ["selector=uncertainity", "'uncertainty'"]),
        "a choice of another group": (["student=gold"], ["student=gold", "no such choice", "boosted"]),
        "an unknown key": (["selector.budgt=0.1"], ["selector.budgt", "'budget'"]),
        "an added key": (["+selector.colour=red"], ["selector.colour", "no such field"]),
        "an unknown main key": (["sede=3"], ["sede", "'seed'"]),
        "a budget of nothing": (["selector.budget=0"], ["selector.budget", "fraction"]),
        "a budget that selects none": (["selector.budget=0.0001"], ["selector.budget=0.0001", "selects none"]),
        "a value of another type": (["seed=text"], ["seed: must be a valid integer", "'text'"]),
        "a value that is none of the allowed": (["blocker.direction=up"], ["blocker.direction", "'mutual'", "'up'"]),
        "an unknown stage": (["until=training"], ["until", "'distil'", "'training'"]),
        "an unknown objective": (["objective=student.plain.pair_f2"], ["objective", "'pair_f1'"]),
        "an objective of nothing": (["objective=mean"], ["objective=mean", "student"]),
        "a part of another group": (
            ["selector._target_=distiller.teacher.gold.Gold"],
            ["selector.budget: Gold has no such field", "selector: needs a Selector"],
        ),
        "a class that is not there": (
            ["student._target_=distiller.student.boosted.Boost"],
            ["student._target_", "Boost"],
        ),
        "a value that must be set": (["teacher=recorded"], ["teacher.name", "must be set"]),
        "a committee of nobody": (["selector=disagreement"], ["selector", "at least two teachers"]),
        "an interpolation to nowhere": (["seed=${nowhere}"], ["nowhere"]),
        "words that are no override": (["selector"], ["selector"]),
        "two faults at once": (["threads=0", "student.leaves=1"], ["threads", "student.leaves"]),
        "a folder for runs below a file": ([f"hydra.run.dir={tables}/a.csv/run"], ["a.csv", "hydra.run.dir"]),
        "a store below a file": ([f"store.root={tables}/a.csv/store"], ["store.root", "a.csv"]),
        "no table given": (["dataset=tables"], ["dataset.queries", "dataset.candidates", "must be set"]),
        "a missing file": (tabled(tables, queries=f"{tables}/nowhere.csv"), ["nowhere.csv"]),
        "a folder for a file": (tabled(tables, queries=str(tables)), [str(tables)]),
        "an empty file": (tabled(tables, queries=f"{tables}/empty.csv"), ["empty.csv", "empty"]),
        "a header alone": (tabled(tables, candidates=f"{tables}/header.csv"), ["header.csv"]),
        "ids that occur twice": (tabled(tables, queries=f"{tables}/twice.csv"), ["twice.csv", "'x'", "unique"]),
        "text that is no UTF-8": (tabled(tables, queries=f"{tables}/latin.csv"), ["latin.csv", "UTF-8"]),
        "a cut archive": (tabled(tables, queries=f"{tables}/cut.csv.gz"), ["cut.csv.gz"]),
        "a cut Parquet file": (tabled(tables, queries=f"{tables}/cut.parquet"), ["cut.parquet"]),
        "a broken line of JSON": (tabled(tables, queries=f"{tables}/bad.jsonl"), ["bad.jsonl", "line 2"]),
        "an unknown format": (tabled(tables, queries=f"{tables}/table.xlsx"), ["table.xlsx", ".parquet"]),
        "ids and nothing else": (tabled(tables, queries=f"{tables}/lone.csv"), ["lone.csv", "attribute"]),
        "an unknown column of ids": (tabled(tables, query_id="kee"), ["a.csv", "'kee'", "'key'", "dataset.query_id"]),
        "matches of nobody": (tabled(tables, matches=f"{tables}/stray.csv"), ["stray.csv", "'nobody'"]),
        "tables with nothing in common": (tabled(tables, candidates=f"{tables}/unlike.csv"), ["blocking", "tables"]),
        "gold where there is none": ([*tabled(tables), "teacher=gold"], ["teacher=Gold", "tables", "none"]),
        "strata where there is no gold": ([*tabled(tables), "selector=stratified"], ["selector=Stratified", "tables"]),
        "recordings where there are none": (["teacher=recorded", "teacher.name=gpt"], ["teacher=recorded", "abt-buy"]),
        "a split where there is none": (["selector=recorded"], ["selector=recorded"]),
        "an unknown attribute": (["blocker.attributes=[titel]"], ["blocker.attributes", "titel"]),
        "an unknown feature": (["teacher.features=[key.word_cosin]"], ["teacher.features", "'key.word_cosin"]),
        "an unknown teacher": (
            [*real, "teacher=recorded", "teacher.name=qwen2.5-32"],
            ["teacher.name", "'qwen2.5-32b'"],
        ),
        "an unknown split": ([*real, "selector=recorded", "selector.name=maximum"], ["selector.name=maximum"]),
        "answers about other candidates": (
            [*real, "teacher=recorded", "teacher.name=qwen2.5-32b", "blocker=tfidf", "selector=recorded"],
            ["abt-buy", "blocker=recorded"],
        ),
        "answers that were never recorded": (
            [*real, "teacher=recorded", "teacher.name=llama3.1-70b", "selector=random"],
            ["llama3.1-70b", "teacher.missing=skip"],
        ),
        "an engine that is no part of the run": (
            ["teacher=qwen2.5-14b", "engine=vllm"],
            ["engine", "engine@teacher.engine=CHOICE"],
        ),
        "a way of asking of a teacher that asks nobody": (
            ["elicitation=label"],
            ["elicitation", "elicitation@teacher.elicitation=CHOICE", "teacher=llama3-8b"],
        ),
        "a field of an engine": (
            ["teacher=openai", "teacher.model=x", "engine.timeout=3"],
            ["engine.timeout", "write teacher.engine.timeout=VALUE"],
        ),
        "an unknown engine": (["teacher=qwen2.5-14b", "engine@teacher.engine=vlm"], ["engine=vlm", "'vllm'"]),
        "a model that must be named": (["teacher=openai"], ["teacher.model", "must be set"]),
        "a model that is in no folder": (
            ["teacher=qwen2.5-14b", "teacher.model=/nowhere/model"],
            ["model /nowhere/model", "no such folder"],
        ),
        "a model that cannot be fetched": (
            ["teacher=llama3-8b"],
            ["'meta-llama/Llama-3.1-8B-Instruct'", "set model to a local folder"],
        ),
        "a server that is not there": (
            ["teacher=openai", "teacher.model=x", "teacher.engine.url=http://127.0.0.1:9/v1"],
            ["http://127.0.0.1:9/v1 does not answer", "engine.url"],
        ),
        "neither server nor key": (
            ["teacher=openai", "teacher.model=x", "teacher.engine.key_variable=NOT_SET_ANYWHERE"],
            ["NOT_SET_ANYWHERE is not set", "engine.url"],
        ),
        "samples that cannot differ": (
            ["teacher=qwen2.5-14b", "teacher.samples=3"],
            ["teacher", "samples=3", "elicitation.temperature"],
        ),
        "a temperature for scores": (
            [
                *("teacher=qwen2.5-14b", "elicitation@teacher.elicitation=label"),
                *("teacher.elicitation.reply=score", "teacher.elicitation.temperature=1"),
            ],
            ["teacher.elicitation", "temperature=1", "reply=score"],
        ),
        "an explanation tested that nobody gives": (
            ["teacher=qwen2.5-14b", "elicitation@teacher.elicitation=label", "teacher.counterfactual=true"],
            ["teacher", "counterfactual=true needs explanations"],
        ),
        "a budget below nothing": (["budget.max_cost=-1"], ["budget.max_cost", "greater than 0", "-1"]),
        "a vote counted in an unknown way": (
            ["teacher=vote", "teacher.method=dawid-sken"],
            ["teacher.method", "'dawid-skene'", "'dawid-sken'"],
        ),
        "a small teacher without a large one": (["teacher=trained"], ["teacher.source.name", "must be set"]),
        "data nowhere and no network": (
            [*real, f"data.root={tables}/nothing", f"data.cache={tables}/cache", "data.url=http://127.0.0.1:9"],
            ["abt-buy", "127.0.0.1:9"],
        ),
    }


CASES = wrong(Path("/"))


@pytest.mark.parametrize(
    "case",
    [pytest.param(n, marks=[pytest.mark.needs_data] if "dataset=abt-buy" in w else []) for n, (w, _) in CASES.items()],
)
def test_what_is_wrong_is_said_without_a_traceback_and_nothing_half_done_is_left(
    command: Commands, tables: Path, tmp_path: Path, case: str
) -> None:
    words, said = wrong(tables)[case]
    outcome = command(QUIET, *here(tmp_path), *words, folder=tmp_path, HF_HUB_OFFLINE="1", OPENAI_BASE_URL="")
    assert outcome.code == 1, outcome.out + outcome.err
    assert "Traceback" not in outcome.out + outcome.err
    for part in said:
        assert part in outcome.err
    message = [line for line in outcome.err.splitlines() if line.startswith(("invalid configuration", "error: "))]
    assert len(message) == 1, outcome.err
    assert "written to" not in outcome.out
    for name in ("scorecard.json", "scorecard.csv", "matches.csv"):
        assert not (tmp_path / "run" / name).exists()
    assert not list(tmp_path.rglob("*.part"))
    assert not list((tables / "cache").rglob("*.csv.gz"))
    if message[0].startswith("invalid"):
        assert not (tmp_path / "store").exists(), "the configuration is checked before any work"


def test_at_least_twenty_faults_are_tried() -> None:
    assert len(CASES) >= 20


def test_the_whole_traceback_is_there_for_who_asks_for_it(command: Commands, tmp_path: Path) -> None:
    outcome = command(QUIET, *here(tmp_path), "selector=nothing", folder=tmp_path, HYDRA_FULL_ERROR="1")
    assert outcome.code == 1
    assert "Traceback" in outcome.err
