"""Every choice of `conf/`, found by walking, does what its group promises."""

import importlib
import importlib.util
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import conformance as must
import numpy as np
import pytest
from conformance import bench, bench_for, built, choices, composed, part
from loopback_server import Loopback
from student.tiny_encoder import tiny_encoder
from tiny_model import tiny_checkpoint

from distiller.artifacts import AnswerSet, Parse
from distiller.config import Component, ConfigurationError, DistillerError, identity
from distiller.elicitation.base import Reading
from distiller.engine.base import Request
from distiller.experiment import Experiment
from distiller.teacher.llm import LLM

pytestmark = pytest.mark.filterwarnings("ignore")


def of(group: str) -> Any:
    """One test per choice of a group; what names the benchmark folder or replays recordings needs the data."""
    marked = []
    for _, choice in choices(group):
        text = (must.CONF / group / f"{choice}.yaml").read_text(encoding="utf-8")
        real = any(word in text for word in ("data.root", "recorded.Recorded", "source: recorded", "given.Given"))
        marked.append(pytest.param(choice, marks=[pytest.mark.needs_data] if real else []))
    return pytest.mark.parametrize("choice", marked)


@pytest.mark.parametrize(("group", "choice"), choices())
def test_a_choice_is_its_class_written_out_field_by_field(group: str, choice: str) -> None:
    written = must.listed(group, choice)
    module, _, name = written.pop("_target_").rpartition(".")
    assert f"{module}.".startswith(f"distiller.{group}.")
    cls = getattr(importlib.import_module(module), name)
    assert issubclass(cls, Component)
    assert cls.__doc__
    assert sorted(written) == must.init_fields(cls)
    config = composed(*must.word(group, choice))
    assert not must.unset(config, "teacher" if group in must.INNER else group), (
        "give tests/conformance.py a value for these mandatory fields"
    )
    component = part(group, choice)
    assert type(component) is cls
    assert identity(component)["class"] == f"{module}.{name}"


def test_every_part_of_an_experiment_is_a_group_with_choices_or_is_in_the_main_file() -> None:
    config = composed()
    assert sorted(config) == ["_target_", *must.init_fields(Experiment)]
    groups = {group for group, _ in choices()}
    assert groups - set(must.INNER) == {key for key in must.init_fields(Experiment) if (must.CONF / key).is_dir()}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Words that give a language model teacher a real small model: random weights, and a server for those behind one."""
    tiny = tiny_checkpoint(tmp_path_factory.mktemp("model") / "tiny")
    with Loopback() as server:
        yield [f"teacher.model={tiny}", f"teacher.engine.url={server.url}", "elicitation@teacher.elicitation=label"]


@of("dataset")
def test_a_dataset_gives_clean_tables_by_its_name(choice: str) -> None:
    parts = part("dataset", choice).parts()
    assert parts
    for name, dataset in parts.items():
        assert dataset.parts() == {name: dataset}
        if len(parts) > 1 and part("dataset", name) == dataset:
            continue  # it has a test of its own
        records = dataset.load()
        must.hold_records(records, name)
        if len(records.candidate_ids) < 3000:
            assert dataset.load().key == records.key


@of("blocker")
def test_a_blocker_gives_candidates_of_the_tables_whatever_the_order_of_rows_and_the_threads(choice: str) -> None:
    blocker = part("blocker", choice)
    records = bench_for(blocker).records
    shown = records if blocker.USES_GOLD else records.without_gold()
    candidates = blocker.block(shown, 1)
    must.hold_candidates(candidates, records)
    assert blocker.block(must.shuffled(shown, 7), 2).table.equals(candidates.table)


@of("selector")
def test_a_selector_spends_its_quota_in_the_pool_and_always_the_same_way(choice: str) -> None:
    selector = part("selector", choice)
    if hasattr(selector, "budget"):
        selector = part("selector", choice, "selector.budget=0.3")
    own = bench_for(selector)
    gold, everyone = own.gold(selector), own.task.candidates.query_ids
    pools = [everyone] if must.replays(selector) else [everyone, everyone[:-5]]
    for pool in pools:
        ranking = selector.select(own.task, pool, gold)
        must.hold_selection(ranking.selected, ranking.scores, pool)
        if hasattr(selector, "quota"):
            assert len(ranking.selected) == selector.quota(len(pool))
        assert selector.select(own.task, pool, gold).selected.tolist() == ranking.selected.tolist()
    if hasattr(selector, "budget"):
        counted = part("selector", choice, "selector.budget=9")
        assert len(counted.select(own.task, everyone, gold).selected) == 9


@of("protocol")
def test_a_protocol_keeps_what_is_scored_apart_from_what_is_learnt(choice: str) -> None:
    protocol, random = part("protocol", choice), np.random.default_rng(5)
    for _ in range(20):
        everyone = np.unique(random.integers(0, 10**6, 200))
        records = must.with_split(everyone, random)
        pool = protocol.pool(everyone[random.random(len(everyone)) < 0.8], records)
        assert np.isin(pool, everyone).all()
        selected = np.sort(random.choice(pool, 20, replace=False))
        test = protocol.test(everyone, selected, records)
        assert (np.diff(test) > 0).all()
        assert np.isin(test, everyone).all()
        assert not np.isin(test, selected).any()


@of("elicitation")
def test_an_elicitation_shows_every_option_within_its_limit_and_reads_what_it_would_write(choice: str) -> None:
    way, task = part("elicitation", choice), bench().task
    asked = task.candidates.query_ids
    prompts = way.prompts(task, asked)
    assert [p.query_id for p in prompts] == sorted(p.query_id for p in prompts)
    assert {p.query_id for p in prompts} == set(asked.tolist())
    assert prompts == way.prompts(task, asked)
    assert [p for p in prompts if p.query_id == asked[3]] == way.prompts(task, asked[3:4]), "a prompt hangs on others"
    _, offsets = task.candidates.of(asked)
    for prompt in prompts:
        k = int(np.diff(offsets)[np.searchsorted(asked, prompt.query_id)])
        text = prompt.request.messages[-1][1]
        rows, _ = task.candidates.of(np.array([prompt.query_id]))
        assert sorted(prompt.options) == sorted(task.candidates.candidate_ids[rows].tolist())
        assert all(f"\n[{i}] " in text for i in range(1, k + 1))
        assert (prompt.about is None) == way.ANSWERS
    for n_options in (1, 10):
        low, middle, high = way.expected_tokens(n_options)
        assert 0 <= low <= middle <= high <= way.reply_tokens
        for choice_made in range(n_options + 1):
            said = Reading(choice_made if way.ANSWERS else -1, Parse.EXACT, "both are [3]" if way.EXPLAINS else None)
            if way.EXPLAINS and "confidence" in getattr(way, "FIELDS", ()):
                said = replace(said, confidence=0.5)
            assert way.read(way.write(said), n_options) == said
        for noise in (None, "", "no idea", "[11]", "[1, 2]", "[1] or [2]"):
            assert way.read(noise, n_options).choice == -1
    assert way.answering().ANSWERS


@of("engine")
def test_an_engine_gives_every_request_one_reply_and_says_what_is_missing(choice: str, model: list[str]) -> None:
    served = choice == "openai"
    engine = part("engine", choice, *([model[1]] if served else []))
    name = "loopback" if served else model[0].removeprefix("teacher.model=")
    for library in {"vllm": ["vllm"], "ray": ["ray", "vllm"]}.get(choice, []):
        if importlib.util.find_spec(library) is None:
            with pytest.raises(
                DistillerError, match=rf"engine={choice} needs .*pip install 'distiller-er\[{choice}\]'"
            ):
                engine.check(name, None)
            return
    engine.check(name, None)
    with pytest.raises(DistillerError, match="no-such-model"):
        engine.check("./no-such-model", None)
    requests = [
        Request((("user", f"[1] a{'b' * n}\n[2] c"),), options=("[0]", "[1]", "[2]"), max_tokens=8) for n in range(5)
    ]
    supply = iter(list(enumerate(requests)))
    with engine.open(name, None) as opened:
        replies = dict(opened.replies(supply))
    assert sorted(replies) == list(range(5))
    assert next(supply, None) is None
    for reply in replies.values():
        assert reply.error is None
        assert reply.text in ("[0]", "[1]", "[2]")
        assert reply.tokens_in > 0
        assert reply.seconds > 0


@of("teacher")
def test_a_teacher_answers_exactly_the_queries_asked_about_their_candidates(choice: str, model: list[str]) -> None:
    teacher = part("teacher", choice)
    if isinstance(teacher, LLM):
        served = choice == "openai"
        teacher = part("teacher", choice, model[1] if served else model[0], model[2])
        teacher.ready(bench().task.store)
    own = bench_for(teacher)
    everyone = own.task.candidates.query_ids
    assert teacher.label()
    for asked in (_answerable(own, everyone)[::3], _answerable(own, everyone)[:1]):
        answers = teacher.annotate(own.task, asked, own.gold(teacher))
        must.hold_answers(answers, asked, own.task.candidates)
        must.hold_choices_most_probable(answers)
        assert set(answers.table["source"].to_pylist()) == {teacher.label()}
        assert must.same_answers(answers, teacher.annotate(own.task, asked, own.gold(teacher)))


def _answerable(own: must.Bench, everyone: np.ndarray) -> np.ndarray:
    """Recordings cover one split, the others everything."""
    if own.records.folder is None:
        return everyone
    return part("selector", "recorded").select(own.task, everyone).selected


@pytest.fixture(scope="module")
def zeroer_answers() -> AnswerSet:
    """Noisy answers of a teacher to two thirds of the queries."""
    asked = bench().task.candidates.query_ids
    return part("teacher", "zeroer").annotate(bench().task, asked[asked % 3 > 0])


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Words that give a student which starts from weights small ones that are random, by its class."""
    folder = tmp_path_factory.mktemp("weights")
    tiny = tiny_checkpoint(folder / "language", hidden=64, layers=1, vocabulary=1024, texts=rendered())
    encoder = tiny_encoder(folder / "encoder")
    return {
        "Language": [f"student.model={tiny}", "student.dtype=float32", "student.elicitation.serialization=plain"],
        "Encoder": [f"student.model={encoder}"],
    }


def rendered() -> list[str]:
    """Records as a prompt shows them, to train a tokenizer on."""
    way, task = part("elicitation", "label"), bench().task
    return [prompt.request.messages[-1][1] for prompt in way.prompts(task, task.candidates.query_ids[:30])]


@pytest.mark.parametrize("algorithm", [choice for _, choice in choices("algorithm")])
@of("student")
def test_a_student_learns_from_a_teacher_and_answers_everything(
    choice: str, algorithm: str, zeroer_answers: AnswerSet, weights: dict[str, list[str]], tmp_path: Path
) -> None:
    kind = type(part("student", choice)).__name__
    if kind in weights and choice != must.first_of("student", kind):
        pytest.skip(f"differs from {must.first_of('student', kind)} only in the weights it starts from")
    words = [f"student={choice}", *weights.get(kind, []), "trainer=smoke"]
    if why := part("algorithm", algorithm).suits(built(*words).student):
        assert re.fullmatch(r"[a-z].{20,}[^.]", why)
        with pytest.raises(ConfigurationError, match=re.escape(why)):
            built(*words, f"algorithm={algorithm}")
        pytest.skip(why)
    experiment = built(*words, f"algorithm={algorithm}")
    experiment.student.ready(bench().task.store)
    own, trainer, student = bench(), experiment.trainer, experiment.student
    everyone = own.task.candidates.query_ids
    checkpoint = must.trained(experiment, [(own.task, zeroer_answers)], tmp_path / "one")
    answers = student.answer(checkpoint, own.task, everyone, trainer, 2)
    must.hold_answers(answers, everyone, own.task.candidates)
    must.hold_choices_most_probable(answers)
    assert answers.soft.all()
    again = must.trained(experiment, [(own.task, zeroer_answers)], tmp_path / "two")
    shutil.rmtree(checkpoint.folder)  # what was learnt lies in the folder alone
    shutil.move(again.folder, tmp_path / "elsewhere")
    again.folder = tmp_path / "elsewhere"
    assert must.same_answers(answers, student.answer(again, own.task, everyone, trainer, 2))
    few = everyone[::7]
    some = student.answer(again, own.task, few, trainer, 2)
    assert np.allclose(some.distribution, answers.of(few).distribution, atol=1e-5), "an answer hangs on its neighbours"


@of("disambiguation")
def test_a_disambiguation_settles_conflicts_and_leaves_the_rest(choice: str, zeroer_answers: AnswerSet) -> None:
    resolver, task = part("disambiguation", choice), bench().task
    settled = resolver.resolve(task, zeroer_answers)
    must.hold_answers(settled, zeroer_answers.query_ids, task.candidates)
    assert ((settled.choice < 0) == (zeroer_answers.choice < 0)).all()
    assert (settled.choice[zeroer_answers.choice == 0] == 0).all(), "who abstained stays so"
    if resolver.FORM == "one_to_one":
        must.hold_one_to_one(settled)
    if resolver.FORM is None:
        assert must.same_answers(settled, zeroer_answers)


@of("logger")
def test_a_logger_writes_only_into_the_folder_of_the_run(
    choice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "run"
    elsewhere.mkdir()
    folder.mkdir()
    monkeypatch.chdir(elsewhere)
    log = part("logger", choice).open(folder, {"seed": 1, "dataset": {"name": "x"}}, "sweep")
    log.numbers({"loss": 0.5}, step=1)
    log.numbers({"f1/x": 0.25, "f1/mean": 0.25})
    log.close(failed=False)
    assert not list(elsewhere.iterdir())
    if choice != "none":
        assert any(p.is_file() and p.stat().st_size for p in folder.rglob("*"))
