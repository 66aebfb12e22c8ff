"""Every score against sets in plain Python, and against the published figures of the paper's recorded students."""

import csv

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from matching_instances import DATA, REPOSITORY, Instance, answers_of, benchmark, instances, needs_data, relaxed

from distiller import metrics
from distiller.metrics import Truth

RESULTS = REPOSITORY.parent / "shared" / "reference" / "results"
NONE = "none"


def truth_of(case):
    return Truth.of(case.candidate_set(), case.gold_table(), np.array(case.scored))


def f1(right, claimed, wanted):
    return 2 * right / (claimed + wanted) if claimed + wanted else 0.0


def inside(case):
    return {(q, c) for q in case.evaluated for c in case.options[q] if (q, c) in case.gold}


def right_options(case, q):
    """Numbers that answer query q rightly."""
    return {i for i, c in enumerate(case.options[q], 1) if (q, c) in case.gold} or {0}


def f1_by_sets(case, claims):
    """Pair, match and end-to-end F1 of a set of claimed pairs."""
    right = len(claims & case.gold)
    wanted = {
        "pair_f1": inside(case),
        "match_f1": {(q, c) for q, c in case.gold if q in case.evaluated},
        "end_to_end_f1": {(q, c) for q, c in case.gold if q in case.scored},
    }
    return {name: f1(right, len(claims), len(gold)) for name, gold in wanted.items()}


@relaxed
@given(instances())
def test_scores_of_answers_agree_with_sets_in_plain_python(case):
    scores = metrics.score_answers(case.answers(), truth_of(case))
    claims = {(q, case.options[q][case.choices[q] - 1]) for q in case.evaluated if case.choices[q]}
    correct = [case.choices[q] in right_options(case, q) for q in case.evaluated]
    unmatched = [q for q in case.evaluated if right_options(case, q) == {0}]
    expected = {
        **f1_by_sets(case, claims),
        "selection_accuracy": sum(correct) / len(correct) if correct else 0.0,
        "abstention_accuracy": sum(case.choices[q] == 0 for q in unmatched) / len(unmatched) if unmatched else 0.0,
        "parse_failures": sum(case.choices[q] is None for q in case.evaluated),
        "claimed_pairs": len(claims),
        "queries": len(case.evaluated),
        "matches": sum(q in case.scored for q, _ in case.gold),
        "matches_among_candidates": len(inside(case)),
        "pair_precision": len(claims & case.gold) / len(claims) if claims else 0.0,
        "pair_recall": len(claims & case.gold) / len(inside(case)) if inside(case) else 0.0,
    }
    assert {name: scores[name] for name in expected} == pytest.approx(expected)


@relaxed
@given(instances(), st.data())
def test_scores_of_several_claims_per_query_agree_with_sets_in_plain_python(case, data):
    claims = {(q, c) for q in case.evaluated for c in case.options[q] if data.draw(st.booleans())}
    abstained = [q for q in case.evaluated if not any(q == claimant for claimant, _ in claims)]
    scores = metrics.score_pairs(np.array(sorted(claims)).reshape(-1, 2), np.array(abstained, int), truth_of(case))
    said = claims | {(q, NONE) for q in abstained}
    wanted = inside(case) | {(q, NONE) for q in case.evaluated if right_options(case, q) == {0}}
    expected = {**f1_by_sets(case, claims), "selection_accuracy": f1(len(said & wanted), len(said), len(wanted))}
    assert {name: scores[name] for name in expected} == pytest.approx(expected)
    assert all(0 <= scores[name] <= 1 for name in scores if name.endswith(("f1", "precision", "recall", "accuracy")))


@relaxed
@given(instances(soft=True))
def test_calibration_agrees_with_a_loop_over_queries(case):
    scores = metrics.score_answers(case.answers(), truth_of(case))
    read = [q for q in case.evaluated if case.choices[q] is not None]
    if not read:
        assert not {"ece", "brier"} & scores.keys()
        return
    bins, brier = {}, 0.0
    for q in read:
        p, right = np.float32(case.shares[q]).astype(float), right_options(case, q)
        brier += (1 - sum(p[i] for i in right)) ** 2 + sum(x**2 for i, x in enumerate(p) if i not in right)
        sure = p[case.choices[q]]
        bins.setdefault(min(int(sure * 15), 14), []).append(sure - (case.choices[q] in right))
    assert scores["brier"] == pytest.approx(brier / len(read))
    assert scores["ece"] == pytest.approx(sum(abs(sum(gaps)) for gaps in bins.values()) / len(read))
    assert 0 <= scores["ece"] <= 1
    assert 0 <= scores["brier"] <= 2


@relaxed
@given(instances(), st.randoms(use_true_random=False))
def test_neither_the_order_of_rows_nor_the_ids_of_records_matter(case, random):
    before = metrics.score_answers(case.answers(), truth_of(case))
    names = list(range(200, 300))
    random.shuffle(names)
    renamed = Instance(
        {names[q]: [names[c] for c in own] for q, own in case.options.items()},
        {(names[q], names[c]): s for (q, c), s in case.similarities.items()},
        {(names[q], names[c]) for q, c in case.gold},
        [names[q] for q in case.scored],
        {names[q]: choice for q, choice in case.choices.items()},
        case.shares and {names[q]: shares for q, shares in case.shares.items()},
    )
    rows, gold = list(range(len(case.similarities))), renamed.gold_table()
    random.shuffle(rows)
    scored = random.sample(renamed.scored, len(renamed.scored))
    gold = gold.take(pa.array(random.sample(range(len(gold)), len(gold)), pa.int64()))
    after = metrics.score_answers(renamed.answers(), Truth.of(renamed.candidate_set(rows), gold, np.array(scored)))
    assert after == pytest.approx(before)


@relaxed
@given(instances(soft=False))
def test_an_unread_reply_is_never_better_than_none_and_claims_nothing(case):
    assume(any(case.choices[q] is None for q in case.evaluated))
    unread = metrics.score_answers(case.answers(), truth_of(case))
    none = {q: choice or 0 for q, choice in case.choices.items()}
    abstained = metrics.score_answers(answers_of({q: case.options[q] for q in case.evaluated}, none), truth_of(case))
    assert unread["selection_accuracy"] <= abstained["selection_accuracy"]
    assert unread["abstention_accuracy"] <= abstained["abstention_accuracy"]
    assert unread["claimed_pairs"] == abstained["claimed_pairs"]
    assert unread["pair_f1"] == abstained["pair_f1"]


@relaxed
@given(instances())
def test_recall_and_precision_of_blocking_agree_with_sets(case):
    listed = {(q, c) for q, own in case.options.items() for c in own}
    facts = metrics.blocking(case.candidate_set(), case.gold_table())
    assert facts["recall"] == pytest.approx(len(listed & case.gold) / len(case.gold) if case.gold else 0.0)
    assert facts["precision"] == pytest.approx(len(listed & case.gold) / len(listed))
    assert metrics.blocking(case.candidate_set(), None) == {"pairs": len(listed), "queries": len(case.options)}


def test_a_side_without_any_candidates_or_gold_scores_zero():
    case = Instance({1: [5]}, {(1, 5): 0.5}, {(2, 5)}, [2], {1: 1}, None)
    scores = metrics.score_answers(case.answers([]), truth_of(case))
    assert (scores["queries"], scores["matches"], scores["end_to_end_f1"], scores["selection_accuracy"]) == (0, 1, 0, 0)
    assert metrics.blocking(case.candidate_set(), pa.table({"query_id": [2], "candidate_id": [5]}))["recall"] == 0


def test_the_mean_over_datasets_is_unweighted_and_of_scores_that_all_have():
    assert metrics.mean([{"pair_f1": 1.0, "ece": 0.1, "queries": 9}, {"pair_f1": 0.0, "queries": 1}]) == {
        "pair_f1": 0.5,
        "queries": 5.0,
    }
    assert metrics.mean([]) == {}


def recomputed(student):
    """{dataset or MEAN: figures} of a recorded student in the tables that accompany the paper's logs."""
    kind, labels = student.split("__")
    labels = {"gold": "ground", "qwen2.5-32b": "qwen_32", "llama3.1-70b": "llama_70", "llama3.1-8b": "llama_8"}[labels]
    if kind.startswith("sft-slm"):
        file, columns = "students_slm_test.csv", ("f1_selection_style", "f1_pair_ref", "match_f1_all_gt")
        wanted = {"student": kind.removeprefix("sft-slm-"), "labels": labels}
    else:
        file, prefix = {
            "sft-llm": ("students_llm_sft_test.csv", "SFT"),
            "dpo-from-base": ("students_llm_rl_test.csv", "DPO_PT"),
            "grpo-from-base": ("students_llm_rl_test.csv", "GRPO_PT"),
            "dpo-after-sft": ("students_llm_rl_test.csv", "DPO_SFT"),
            "sft-llm-explanations": ("explanations_test.csv", "EXPL_SFT"),
        }[kind]
        columns = ("f1_ref", "match_f1_in_candidates", "match_f1_all_gt")
        wanted = {"method": f"{prefix}_{labels}"}
    with open(RESULTS / file, newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if wanted.items() <= row.items()]
    return {row["dataset"]: [float(row[c]) for c in columns] for row in rows}


@needs_data
@pytest.mark.skipif(not RESULTS.is_dir(), reason="the recomputed tables of the paper's logs are not there")
def test_every_recorded_student_of_the_paper_gets_its_published_scores():
    script = benchmark("recorded_students")
    published = script.published()
    assert len(script.students(DATA)) == 11
    for student in script.students(DATA):
        ours, theirs = script.score(DATA, student), recomputed(student)
        assert len(theirs) == 9
        for code, name in zip([f"D{i}" for i in range(2, 10)], script.DATASETS, strict=True):
            assert [ours[name][m] for m in script.METRICS] == pytest.approx(theirs[code], abs=1e-3), (student, name)
        mean = {m: np.mean([scores[m] for scores in ours.values()]) for m in script.METRICS}
        assert [mean[m] for m in script.METRICS] == pytest.approx(theirs["MEAN"], abs=1e-3)
        assert [published[student][m] for m in script.METRICS] == theirs["MEAN"]
        for (
            scores
        ) in ours.values():  # what the suite itself would report, where a number beyond the list claims nothing
            own = scores.get("own", scores)
            assert own["selection_accuracy"] == pytest.approx(scores["selection_accuracy"])
            if not scores.get("beyond"):
                assert own["pair_f1"] == pytest.approx(scores["pair_f1"])
            else:
                assert own["parse_failures"] == scores["beyond"]
                assert own["pair_f1"] >= scores["pair_f1"]


@needs_data
def test_every_recorded_teacher_gets_its_published_score_on_the_training_part():
    script = benchmark("teachers")
    assert set(script.published()) == {"llama3.1-8b", "llama3.1-70b", "qwen2.5-32b"}
    for teacher, theirs in script.published().items():
        assert script.score(DATA, teacher) == pytest.approx(theirs, abs=0.01)
