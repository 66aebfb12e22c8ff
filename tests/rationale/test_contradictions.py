"""Whether an explanation stands by its answer."""

import csv
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matching_instances import DATA, needs_data, relaxed

from distiller.rationale.verdict import Contradiction, contradiction

LABELS = Path(__file__).with_name("labels.csv")

#: What an explanation of answer [2] among five candidates may say about others without taking anything back.
STANDS_BY_TWO = [
    "The correct answer is [2] because title and year agree with the given record.",
    "The given record and candidate [2] share the same title. None of the other candidates match.",
    "Candidate [2] has the same title, although the venue does not match exactly.",
    "No exact match exists. However, [2] is the closest one in title and brand.",
    "[2] matches; the other candidates have different titles, making them incorrect.",
    "The title of record 2 is identical. Candidate [4] does not match.",
    "The second candidate has the same name as the given record.",
    "The prices differ, but this does not necessarily mean that they are different products: [2] has the same model.",
    "The correct answer is [2] because of the title 'No Margin for Error'.",
    "The correct answer is [2]; the spelling may be due to a minor error.",
    "Both are red.",
]
AGAINST_TWO = {
    "The correct answer [2] does not actually match the given record.": Contradiction.CALLED_WRONG,
    "There seems to be an error in the provided answer.": Contradiction.CALLED_WRONG,
    "The answer provided as '[2]' is incorrect.": Contradiction.CALLED_WRONG,
    "Candidate [4] should be chosen rather than [2].": Contradiction.CALLED_WRONG,
    "The given record and candidate [2] do not refer to the same entity.": Contradiction.CALLED_WRONG,
    "The correct match should be candidate [4], as it has the same title.": Contradiction.OTHER_PREFERRED,
    "The correct answer is [0].": Contradiction.OTHER_PREFERRED,
    "The given record and candidate 4 have the same title, authors and year.": Contradiction.OTHER_PREFERRED,
    "None of the candidate records match the given record.": Contradiction.NONE_MATCHES,
    "Candidate [2] has a similar title. Therefore, there is no correct answer among them.": Contradiction.NONE_MATCHES,
}
STANDS_BY_NONE = [
    "None of the candidate records match the given record.",
    "The names are different and do not match.",
    "Candidate [3] is the closest match, but there is no exact match.",
    "The correct answer is [0], as no candidate has this title.",
    "The candidate record is about a TV network.",
    "Candidate [1] lacks a birth year, so it is not sufficient to confirm that it refers to the same real-world entity.",
]
AGAINST_NONE = {
    "The given record and candidate record [1] refer to the same real-world entity.": Contradiction.ONE_MATCHES,
    "The candidate record [0] refers to the same real-world entity as the given record.": Contradiction.ONE_MATCHES,
    "The correct answer should be [3] instead.": Contradiction.OTHER_PREFERRED,
    "[3] matches exactly. The answer [0] may be due to an error in the provided answer.": Contradiction.CALLED_WRONG,
    "The given record and candidate [1] share the same title. However, since the answer provided is [0], it implies "
    "that none of the candidates are considered a match.": Contradiction.ONE_MATCHES,
}


@pytest.mark.parametrize("text", STANDS_BY_TWO)
def test_an_explanation_that_stands_by_its_candidate_is_consistent(text):
    assert contradiction(text, 2, 5) is None


@pytest.mark.parametrize("text", AGAINST_TWO)
def test_an_explanation_that_takes_its_candidate_back_is_not(text):
    assert contradiction(text, 2, 5) is AGAINST_TWO[text]


@pytest.mark.parametrize("text", STANDS_BY_NONE)
def test_an_explanation_that_finds_no_match_is_consistent_with_none(text):
    assert contradiction(text, 0, 5) is None


@pytest.mark.parametrize("text", AGAINST_NONE)
def test_an_explanation_that_finds_a_match_is_not(text):
    assert contradiction(text, 0, 5) is AGAINST_NONE[text]


def test_with_one_candidate_the_candidate_needs_no_number():
    text = "The candidate record does not match the given record."
    assert contradiction(text, 1, 1) is not None
    assert contradiction(text, 0, 1) is None


@relaxed
@given(st.sampled_from([*STANDS_BY_TWO, *AGAINST_TWO]), st.permutations(range(1, 11)))
def test_only_which_candidate_is_meant_counts_not_its_number(text, renumbered):
    ordinals = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]
    moved = text.replace("[4]", "[@4]").replace("[2]", "[@2]").replace("record 2", "record @2")
    moved = moved.replace("candidate 4", "candidate @4").replace("second", ordinals[renumbered[1] - 1])
    moved = moved.replace("@4", str(renumbered[3])).replace("@2", str(renumbered[1]))
    assert contradiction(moved, renumbered[1], 10) is contradiction(text, 2, 10)


@relaxed
@given(st.sampled_from([*STANDS_BY_TWO, *AGAINST_TWO]), st.sampled_from(["'", '"']))
def test_what_is_quoted_from_a_record_is_not_taken_for_a_verdict(text, mark):
    said = f"The title is {mark}The Answer Is Incorrect, None of the Candidates Match{mark}. {text}"
    assert contradiction(said, 2, 5) is contradiction(text, 2, 5)


@relaxed
@given(st.text(max_size=300), st.integers(0, 10))
def test_any_text_has_a_verdict(text, choice):
    assert contradiction(text, choice, 10) in (None, *Contradiction)


def recorded_texts(row):
    """{(query_id, option): explanation and number of options} of one recording of a dataset."""
    folder = DATA / row["dataset"]
    teacher = row["recording"].split("/")[1]
    with gzip.open(folder / "annotations" / f"{teacher}.jsonl.gz", "rt", encoding="utf-8") as lines:
        told = {r["query_id"]: r for r in map(json.loads, lines)}
    if row["recording"].startswith("annotations"):
        return {(q, r["answer"]): (r["explanation"], len(r["options"])) for q, r in told.items()}
    with gzip.open(folder / f"{row['recording']}.jsonl.gz", "rt", encoding="utf-8") as lines:
        records = list(map(json.loads, lines))
    return {(r["query_id"], r["option"]): (r["explanation"], len(told[r["query_id"]]["options"])) for r in records}


@pytest.fixture(scope="module")
def judged():
    """(label, our verdict, when the text was read) of every labelled explanation; True stands for consistent."""
    with open(LABELS, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    texts, found = {}, []
    for row in rows:
        key = row["dataset"], row["recording"]
        if key not in texts:
            texts[key] = recorded_texts(row)
        text, n_options = texts[key][int(row["query_id"]), int(row["option"])]
        verdict = contradiction(text, int(row["option"]), n_options) is None
        found.append((row["consistent"] == "1", verdict, row["read"], row["recording"]))
    return found


@needs_data
def test_labels_and_verdicts_agree_on_explanations_read_after_the_rules_were_written(judged):
    after = [(label, verdict) for label, verdict, read, _ in judged if read == "after"]
    wrong = [label for label, verdict in after if not verdict]
    contradicting = [verdict for label, verdict in after if not label]
    assert len(after) >= 100
    assert len(contradicting) >= 30
    assert sum(label == verdict for label, verdict in after) / len(after) >= 0.97
    assert wrong.count(False) / len(wrong) >= 0.95  # precision of a contradiction
    assert contradicting.count(False) / len(contradicting) >= 0.95  # recall


@needs_data
def test_labels_and_verdicts_agree_on_explanations_read_before(judged):
    before = [(label, verdict) for label, verdict, read, _ in judged if read == "before"]
    assert len(before) == 80
    assert all(label == verdict for label, verdict in before)
