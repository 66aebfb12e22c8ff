"""All recorded replies are read as they were read before, but for known and counted disagreements."""

from collections import Counter

import pytest
from matching_instances import DATA, benchmark, needs_data

from distiller.artifacts import Parse
from distiller.elicitation.explain import Explain
from distiller.elicitation.replies import read_bracketed

pytestmark = needs_data


@pytest.fixture(scope="module")
def parsing():
    return benchmark("parsing")


@pytest.fixture(scope="module")
def teachers(parsing):
    return parsing.teachers(DATA)


def test_teachers_replies_are_read_as_the_files_say(teachers):
    counts, found = teachers
    by_read = Counter()
    for (_, _, read, parse), number in counts.items():
        by_read[read, parse] += number
    assert by_read == {
        ("ok", "exact"): 41_167,
        ("recovered", "exact"): 18,
        ("recovered", "recovered"): 1_742,
        ("recovered", "failed"): 38,
        ("unparsed", "recovered"): 21,
        ("unparsed", "failed"): 5,
        ("out_of_range", "failed"): 24,
    }
    assert counts.total() == 43_015
    assert len(found) == 69


def test_every_disagreement_about_a_teachers_reply_has_its_reason(parsing, teachers):
    _, found = teachers
    assert Counter(each.reason for each in found) == {
        parsing.RESTATED: 37,
        parsing.GIVEN_UP: 21,
        parsing.STATED: 5,
        parsing.QUOTED_RECORD: 5,
        parsing.NO_NUMBER: 1,
    }
    assert {each.source.split(" ")[0] for each in found} == {"llama3.1-8b", "qwen2.5-32b"}
    assert all(each.ours is None for each in found if each.reason in (parsing.QUOTED_RECORD, parsing.NO_NUMBER))
    restated = [each for each in found if each.reason == parsing.RESTATED]
    assert {each.theirs for each in restated} == {0}, "the number that the question itself has"


def test_an_answer_field_alone_is_read_like_the_whole_reply(parsing):
    """The files keep only the field of a well-formed reply; read alone it gives the same number."""
    for _, _, record in parsing.recordings(DATA):
        if record["read"] == "ok":
            reading = read_bracketed(record["answer_raw"], len(record["options"]))
            assert (reading.choice, reading.parse) == (record["answer"], Parse.EXACT)


def test_recovered_explanations_are_those_of_the_file(parsing):
    explained = 0
    for _, _, record in parsing.recordings(DATA):
        if record["read"] == "recovered" and record["explanation"]:
            reading = Explain().read(record["answer_raw"], len(record["options"]))
            if reading.parse is not Parse.FAILED:
                explained += 1
                assert reading.rationale == record["explanation"]
    assert explained == 1_379


def test_a_student_that_rambles_on_has_answered_at_the_beginning(parsing):
    counts, found = parsing.students(DATA)
    assert counts == {("same", "recovered"): 19_593, ("other", "failed"): 93}
    assert Counter(each.reason for each in found) == {
        parsing.NOTHING: 62,
        parsing.QUOTED_RECORD: 15,
        parsing.RESTATED: 9,
        parsing.BEYOND: 5,
        parsing.SEVERAL: 2,
    }
