"""Replies are read strictly, recovered by rules, and never guessed."""

import json
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matching_instances import relaxed

from distiller.artifacts import Parse
from distiller.elicitation.base import Reading
from distiller.elicitation.confidence import Confidence
from distiller.elicitation.explain import Explain
from distiller.elicitation.justify import Justify
from distiller.elicitation.label import Label
from distiller.elicitation.replies import FAILED

LABEL, EXPLAIN, CONFIDENCE, JUSTIFY = Label(), Explain(), Confidence(), Justify()
ANSWERING = [LABEL, EXPLAIN, CONFIDENCE]

hard_text = st.one_of(
    st.text(),
    st.text(alphabet="\"'\\{}[]:,0123456789answer \n\té漢🜁"),
    st.sampled_from(['"answer": "[2]"', "{'answer': '[1]'}", "[0]", "the answer is [1]", "```json", "\\u00e9", "null"]),
)


@st.composite
def choices(draw):
    """A number of options and one of them, 0 for "none"."""
    k = draw(st.integers(1, 30))
    return k, draw(st.integers(0, k))


@given(choices())
def test_a_label_is_read_as_it_was_written(case):
    k, choice = case
    reading = Reading(choice, Parse.EXACT)
    assert LABEL.read(LABEL.write(reading), k) == reading


@given(choices(), st.none() | hard_text)
def test_an_explanation_is_read_as_it_was_written(case, rationale):
    k, choice = case
    reading = Reading(choice, Parse.EXACT, rationale)
    assert EXPLAIN.read(EXPLAIN.write(reading), k) == reading
    written = json.loads(EXPLAIN.write(reading))
    assert written == {"answer": f"[{choice}]", "explanation": rationale}


@given(choices(), st.none() | hard_text, st.none() | st.floats(0, 1))
def test_a_confidence_is_read_as_it_was_written(case, rationale, confidence):
    k, choice = case
    reading = Reading(choice, Parse.EXACT, rationale, confidence)
    assert CONFIDENCE.read(CONFIDENCE.write(reading), k) == reading


@given(hard_text.filter(str.strip), st.integers(1, 9))
def test_a_justification_is_read_as_it_was_written(rationale, k):
    reading = Reading(-1, Parse.EXACT, rationale)
    assert JUSTIFY.read(JUSTIFY.write(reading), k) == reading


def test_what_says_nothing_is_not_written():
    for elicitation in (*ANSWERING, JUSTIFY):
        with pytest.raises(ValueError, match="has no text"):
            elicitation.write(FAILED)
        for nothing in (None, "", " \n"):
            assert elicitation.read(nothing, 3) == FAILED


@relaxed
@given(
    st.sampled_from([*ANSWERING, JUSTIFY]),
    st.text() | st.text(alphabet='[]{}",:\\ 0123456789answer'),
    st.integers(0, 12),
)
def test_any_text_gives_a_reading_within_the_options(elicitation, text, k):
    reading = elicitation.read(text, k)
    assert -1 <= reading.choice <= k
    if elicitation.ANSWERS:
        assert (reading.choice < 0) == (reading.parse is Parse.FAILED)
    assert reading.confidence is None or 0 <= reading.confidence <= 1
    assert reading.rationale is None or reading.rationale.encode()


@relaxed
@given(st.sampled_from(ANSWERING), choices(), hard_text, st.data())
def test_a_damaged_reply_is_read_as_its_number_or_not_at_all_as_exact(elicitation, case, rationale, data):
    """Whatever is cut out of a valid reply: what still counts as exact has the answer in it as it was asked for."""
    k, choice = case
    whole = elicitation.write(Reading(choice, Parse.EXACT, rationale, 0.5))
    begin = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(begin, len(whole)))
    text = whole[:begin] + data.draw(hard_text) * data.draw(st.booleans()) + whole[end:]
    reading = elicitation.read(text, k)
    assert -1 <= reading.choice <= k
    if reading.parse is Parse.EXACT:
        said = text.strip() if elicitation is LABEL else json.loads(text)["answer"]
        assert said == f"[{reading.choice}]"


@given(choices(), hard_text, st.data())
def test_a_reply_that_is_cut_off_after_its_answer_keeps_it(case, rationale, data):
    k, choice = case
    whole = EXPLAIN.write(Reading(choice, Parse.EXACT, rationale))
    answer = whole.index(",")
    cut = whole[: data.draw(st.integers(answer, len(whole) - 1))]
    reading = EXPLAIN.read(cut, k)
    assert (reading.choice, reading.parse) == (choice, Parse.RECOVERED)
    for shorter in range(whole.index("]") + 1):
        assert EXPLAIN.read(whole[:shorter], k).parse is Parse.FAILED, "half a number is no number"


@given(choices(), st.text(alphabet="abc \n`"), st.text(alphabet="abc \n`"), hard_text)
def test_an_object_in_prose_or_code_fences_is_recovered_whole(case, before, after, rationale):
    k, choice = case
    reading = Reading(choice, Parse.EXACT, rationale or None, 0.25)
    text = f"{before}{CONFIDENCE.write(reading)}{after}"
    expected = reading if not (before + after).strip() else replace(reading, parse=Parse.RECOVERED)
    assert CONFIDENCE.read(text, k) == expected


EXACT, RECOVERED = Parse.EXACT, Parse.RECOVERED


@pytest.mark.parametrize(
    ("text", "choice", "parse"),
    [
        ("[3]", 3, EXACT),
        (" [0]\n", 0, EXACT),
        ("3", 3, RECOVERED),
        ('"3".', 3, RECOVERED),
        ("[03]", 3, RECOVERED),
        ("[ 3 ]", 3, RECOVERED),
        ("**[3]**", 3, RECOVERED),
        ("[2]assistantassistant\n\n[3]\n\n[1]", 2, RECOVERED),
        ("Answer: [3].", 3, RECOVERED),
        ("[1] and [2] differ in their model, so the answer is [3]", 3, RECOVERED),
        ("Record number: [3]\n\nCandidate [1] is another colour.", 3, RECOVERED),
        ("I choose [3] and once more [3].", 3, RECOVERED),
        ('{"answer": "[3]"}', 3, RECOVERED),
        ('{"answer": 3}', 3, RECOVERED),
        ("{'answer': '[3]'}", 3, RECOVERED),
    ],
)
def test_a_label_is_recovered_where_only_one_can_be_meant(text, choice, parse):
    reading = LABEL.read(text, 5)
    assert (reading.choice, reading.parse) == (choice, parse)


@pytest.mark.parametrize(
    "text",
    [
        "[6]",
        "[99999999999999999999]",
        "9" * 5000,
        "[1, 2]",
        "[1] or [2]",
        "[1], [2] and [3]",
        "the answer is [1] or [2]",
        "[None]",
        "none of them",
        "-1",
        "3.5",
        "[-1]",
        "[]",
        "[n]",
        "[٣]",
        '{"answer": "[6]"}',
        '{"answer": "[1, 2]"}',
        '{"answer": "[None]", "explanation": "unlike [2]"}',
        '{"answer": null, "explanation": "nothing found"}',
        '{"answer": 3.5}',
        '{"answer": 1',
        '{"answer": "[1',
        '{"answer": "[n]", "explanation": "..."}',
        "Reply with the number in square brackets, or with [0] if none of the candidates describes the same entity.",
        "[4] [COL] name [VAL] a drill",
    ],
)
def test_what_names_no_option_or_several_or_one_beyond_the_list_is_failed(text):
    for elicitation in ANSWERING:
        assert elicitation.read(text, 5) == FAILED


def test_the_last_number_is_a_conclusion_only_where_reasons_were_asked_for():
    text = "Perhaps [1], because of its size. But no: its colour, so [2]"
    assert LABEL.read(text, 5) == FAILED
    assert EXPLAIN.read(text, 5) == CONFIDENCE.read(text, 5) == Reading(2, Parse.RECOVERED)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"answer": "[2]", "explanation": "same"}', Reading(2, EXACT, "same")),
        ('{"explanation": "same",\n "answer": "[2]"}', Reading(2, EXACT, "same")),
        ('{"answer": "[2]", "explanation": null}', Reading(2, EXACT)),
        ('{"answer": "[2]"}', Reading(2, RECOVERED)),
        ('{"answer": "2", "explanation": "same"}', Reading(2, RECOVERED, "same")),
        ('{"answer": 2, "explanation": "same"}', Reading(2, RECOVERED, "same")),
        ('{"answer": "[2] Sony", "explanation": "same"}', Reading(2, RECOVERED, "same")),
        ('{"answer": "[2]", "explanation": "same", "more": 1}', Reading(2, RECOVERED, "same")),
        ('{"answer": "[2]", "explanation": ["same"]}', Reading(2, RECOVERED)),
        ('{"answer": "[1]", "answer": "[2]", "explanation": "same"}', Reading(2, RECOVERED, "same")),
        ('```json\n{"answer": "[2]", "explanation": "same"}\n```', Reading(2, RECOVERED, "same")),
        (r'{"answer": "[2]", "explanation": "O\'Connell\n"}', Reading(2, RECOVERED, "O'Connell\n")),
        ('{"answer": "[2]", "explanation": "an "apple" a day"}', Reading(2, RECOVERED, 'an "apple" a day')),
        ('{"answer": "[2]", "explanation": "cut o', Reading(2, RECOVERED, "cut o")),
        ('{"answer": "[2]", "explanation": "two\nlines"}', Reading(2, RECOVERED, "two\nlines")),
        (r'{"answer": "[2]", "explanation": "half \ud83d"}', Reading(2, EXACT, "half �")),
        ('{"properties": {"answer": "[2]", "explanation": "same"}}', Reading(2, RECOVERED, "same")),
        ('{"answer": {"type": "string"}} then {"answer": "[2]", "explanation": "x"}', Reading(2, RECOVERED, "x")),
        ('{"answer": "[n]", "explanation": "..."} {"answer": "[2]", "explanation": "x"}', Reading(2, RECOVERED, "x")),
        (
            '{"answer": "[1]", "explanation": "a"} or rather {"answer": "[2]", "explanation": "b"}',
            Reading(2, RECOVERED, "b"),
        ),
        ('[{"explanation": "a", "answer": "[1]"}, {"explanation": "b", "answer": "[2]"}]', Reading(2, RECOVERED, "b")),
        ("Looking at [1] and [3] and then at [2]", Reading(2, RECOVERED)),
        ("[2]", Reading(2, RECOVERED)),
        ('{"answer": "[2]", "explanation": "x", "confidence": 0.5}', Reading(2, RECOVERED, "x")),
    ],
)
def test_an_explained_answer_is_recovered_with_what_can_be_read_of_its_explanation(text, expected):
    assert EXPLAIN.read(text, 5) == expected


@pytest.mark.parametrize(
    ("said", "parse", "confidence"),
    [
        ("0.8", EXACT, 0.8),
        ("1", EXACT, 1.0),
        ("null", EXACT, None),
        ('"0.8"', RECOVERED, 0.8),
        ("80%", RECOVERED, 0.8),
        ("80", RECOVERED, None),
        ("true", RECOVERED, None),
        ("NaN", RECOVERED, None),
        ("-0.5", RECOVERED, None),
        ('"high"', RECOVERED, None),
        ("1 or less", RECOVERED, None),
    ],
)
def test_a_confidence_that_is_no_probability_is_not_made_one(said, parse, confidence):
    text = f'{{"answer": "[2]", "confidence": {said}, "explanation": "x"}}'
    assert CONFIDENCE.read(text, 5) == Reading(2, parse, "x", confidence)


@pytest.mark.parametrize(
    "unit",
    [
        "[1] ",
        "[1]",
        "[1, ",
        "[1,1",
        "[",
        "{",
        '{"a":',
        '"answer": "[1]", ',
        '"answer": "',
        "'answer': \"",
        '"answer": "\\',
        '"answer"   ',
        '{"answer": "[1]", "explanation": "',
        '"explanation": "',
        '"   ',
        "\\",
        "answer is answer: ",
        "number:    ",
        "9",
        " ",
        "é",
        "[1] or ",
    ],
)
def test_reading_takes_linear_time(unit):
    def seconds(size):
        bare = unit * (size // len(unit))
        begin = time.process_time()
        CONFIDENCE.read('{"answer": "[1]", "explanation": "' + bare, 5)
        LABEL.read(bare + "}", 5)
        return time.process_time() - begin

    small, large = min(seconds(200_000) for _ in range(3)), min(seconds(1_000_000) for _ in range(2))
    assert large < 15 * small + 0.2, "five times the text took more than fifteen times as long"
    assert large < 10


def test_deeply_nested_and_huge_numbers_do_no_harm():
    for text in (
        '{"answer":' * 200_000,
        "{" * 300_000 + "}" * 300_000,
        "[" * 300_000,
        '{"answer": ' + "1" * 100_000 + "}",
    ):
        for elicitation in ANSWERING:
            assert elicitation.read(text, 5) == FAILED
