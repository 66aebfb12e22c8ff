"""What students of similarity features say about their answers, on real products with recorded answers."""

import itertools
import json

import numpy as np
import pytest
from matching_instances import needs_data, real_task

from distiller import ragged
from distiller.algorithm.sft import SFT
from distiller.artifacts import Checkpoint
from distiller.features import dense_names
from distiller.rationale.scores import score_rationales, summary
from distiller.student import listwise
from distiller.student.base import Lesson
from distiller.student.boosted import Boosted
from distiller.student.comparator import Comparator
from distiller.student.contributions import KINDS, explain, kind_of
from distiller.student.contributions_words import Pair
from distiller.student.intercepts import calibration_for, intercepts
from distiller.teacher.recorded import Recorded
from distiller.trainer import Trainer

STUDENTS = {
    "boosted": Boosted(rounds=60, learning_rate=0.15, members=2, rationales=True),
    "comparator": Comparator(members=2, epochs=10, width=32, batch_size=32, rationales=True),
}


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return real_task("abt-buy", tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module", params=STUDENTS)
def taught(request, task, tmp_path_factory):
    records, _, train = task
    student, folder = STUDENTS[request.param], tmp_path_factory.mktemp("student")
    answers = Recorded(name="qwen2.5-32b").annotate(records, train)
    facts = SFT().distil(student, [(records, answers)], Trainer(), 1, folder)
    return student, Checkpoint(folder, facts=facts), records


@needs_data
def test_every_answer_is_explained_and_the_explanations_score_well(taught):
    student, checkpoint, task = taught
    answers = student.answer(checkpoint, task, task.candidates.query_ids, Trainer(), 1)
    told = summary(score_rationales(task, answers))
    assert told["rationale_explained"] == len(task.candidates.query_ids)
    assert told["rationale_consistent"] >= 0.99
    assert told["rationale_specific"] >= 0.99
    assert told["rationale_grounded"] >= 0.98
    assert told["rationale_quotes_nothing"] <= 0.02 * len(task.candidates.query_ids)


@needs_data
def test_an_explained_answer_is_the_answer_given_without_explanation(taught):
    student, checkpoint, task = taught
    some = task.candidates.query_ids[:5]
    answers = student.answer(checkpoint, task, some, Trainer(), 1)
    for one, row in zip(explain(student, checkpoint, task, some, Trainer(), 1), answers.table.to_pylist(), strict=True):
        assert (one.query_id, one.options, one.choice) == (row["query_id"], row["options"], row["choice"])
        assert one.probability == pytest.approx(row["distribution"], abs=1e-6)
        for told in one.evidence:
            sizes = [abs(each.contribution) for each in told]
            assert sizes == sorted(sizes, reverse=True)
            assert all(each.words for each in told)


@needs_data
@pytest.mark.parametrize("taught", ["boosted"], indirect=True)
def test_contributions_of_trees_add_up_to_the_logit_but_for_a_constant(taught):
    student, checkpoint, task = taught
    some = task.candidates.query_ids[:100]
    rows, offsets = task.candidates.of(some)
    added = student.contributions(checkpoint, task, rows, Trainer(), 1).sum(1)
    p = student.answer(checkpoint, task, some, Trainer(), 1).distribution
    none = p[ragged.option_offsets(offsets)[:-1]][ragged.owner(offsets)]
    logits = np.log(ragged.without_none(p, offsets)) - np.log(none)
    rest = logits - added
    assert np.ptp(rest) < 1e-3
    assert np.std(logits) > 0.5


@needs_data
def test_every_feature_has_a_kind_of_evidence_and_every_kind_has_features(taught):
    _, checkpoint, _ = taught
    names = json.loads((checkpoint.folder / "student.json").read_text())["features"]
    assert {kind_of(name) for name in dense_names(names)} == set(range(len(KINDS)))
    assert KINDS[kind_of("number.key.conflict")] == "numbers"
    assert KINDS[kind_of("number.mean.missing")] == "attributes"
    assert KINDS[kind_of("code.cosine.query_gap")] == "rivals"


def test_words_about_a_pair_quote_its_values():
    one = {"name": "Sony DSC-W55 camera", "price": "199.00", "year": "2005"}
    other = {"name": "Cyber-shot DSCW55 silver", "price": "249", "year": "2007"}
    pair = Pair(one, other, ("name",))
    assert [(s.words, s.agrees) for s in pair.codes()] == [('the code "DSC-W55" stands in both records', True)]
    differing = [s.words for s in pair.other_attributes() if not s.agrees]
    assert differing == ['the price differs: "199.00" against "249"']
    assert [s.words for s in pair.years()] == ['the years differ: "2005" against "2007"']
    assert [s.agrees for s in Pair(one, one, ("name",)).key_values()] == [True]


def test_a_pair_without_values_says_nothing():
    empty = Pair({}, {}, ("name",))
    for told in (empty.key_values, empty.other_attributes, empty.codes, empty.numbers, empty.years, empty.words):
        assert told() == []


@needs_data
def test_datasets_that_abstain_more_get_a_shift_down_and_one_alone_gets_none(task, tmp_path):
    abt, _, train = task
    other, _, others = real_task("amazon-google", tmp_path)
    draw = np.random.default_rng(3)
    lessons, logits = [], []
    for each, chosen, wanted in ((abt, train, 1.0), (other, others, -1.0)):
        rows, offsets = each.candidates.of(chosen)
        raw = draw.normal(-1.0, 1.0, len(rows))
        p = listwise.probabilities(raw + wanted, offsets)
        target = np.zeros(len(p))
        for start, end in itertools.pairwise(ragged.option_offsets(offsets)):
            target[start + draw.choice(end - start, p=p[start:end] / p[start:end].sum())] = 1.0
        lessons.append(Lesson(each, chosen, target))
        logits.append(raw)
    fold = np.arange(len(train) + len(others)) % 5
    shifts, unseen = intercepts(lessons, np.concatenate(logits), fold)
    assert 0.4 < shifts["abt-buy"] < 1.6
    assert -1.6 < shifts["amazon-google"] < -0.4
    assert not np.allclose(unseen, np.concatenate(logits))
    assert intercepts(lessons[:1], logits[0], fold[: len(train)])[0] == {}
    settings = {"scale": 2.0, "shift": 0.5, "intercepts": shifts}
    assert calibration_for(settings, "abt-buy").shift == pytest.approx(0.5 + shifts["abt-buy"])
    assert calibration_for(settings, "elsewhere").shift == 0.5


@needs_data
def test_trees_learn_from_twelve_answers(task, tmp_path):
    records, _, _ = task
    some = np.sort(np.random.default_rng(1).permutation(records.candidates.query_ids)[:12])
    answers = Recorded(name="qwen2.5-32b").annotate(records, some)
    student = Boosted(members=2, rounds=200)
    SFT().distil(student, [(records, answers)], Trainer(), 1, tmp_path)
    given = student.answer(Checkpoint(tmp_path), records, records.candidates.query_ids, Trainer(), 1)
    teacher = Recorded(name="qwen2.5-32b").annotate(records, records.candidates.query_ids)
    assert (given.choice == 0).mean() < 0.3
    assert (given.chosen_ids == teacher.chosen_ids).mean() > 0.75
