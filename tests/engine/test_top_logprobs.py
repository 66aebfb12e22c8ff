"""Options scored from listed alternatives, against a sum over all texts the model could have written."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback_answers import END, emitted, pieces

from distiller.engine.top_logprobs import Position, option_scores

LABELS = [f"[{n}]" for n in range(13)]
BARE = ["0", "1", "2", "10", "12", "none", "1 or 2"]
NOISE = ["The best is [1]", "[99]", "12", "1234", " [2]", "!", "[", "none of them"]
CUTS = {"signs": list, "words": pieces, "whole": lambda text: [text], "pairs": lambda t: re.findall("..?", t)}


def positions_of(content):
    return [
        Position(e["token"], e["logprob"], tuple((a["token"], a["logprob"]) for a in e["top_logprobs"]))
        for e in content
    ]


@st.composite
def models(draw):
    """Options, probabilities of whole texts, and how the texts are cut into tokens."""
    pool = draw(st.sampled_from([LABELS, BARE]))
    options = draw(st.lists(st.sampled_from(pool), min_size=2, max_size=11, unique=True))
    texts = draw(st.lists(st.sampled_from(sorted({*pool, *NOISE})), min_size=1, max_size=12, unique=True))
    weights = draw(st.lists(st.floats(0.01, 10), min_size=len(texts), max_size=len(texts)))
    return (
        options,
        {t: w / sum(weights) for t, w in zip(texts, weights, strict=True)},
        draw(st.sampled_from(sorted(CUTS))),
    )


def reach(options, text):
    """Options that begin with the text, and the longest that the text begins with at the end of a word."""
    text = text.lstrip()
    over = [o for o in options if re.match(re.escape(o) + (r"(?!\w)" if o[-1].isalnum() else ""), text)]
    return {o for o in options if o.startswith(text)} | {o for o in over if len(o) == max(map(len, over))}


def expected(options, texts, cut, path):
    """Mass of each option, {option: probability}: every whole text gives its own where it leaves the generated path."""
    mass = dict.fromkeys(options, 0.0)
    ends = next((i for i in range(len(path)) if len(reach(options, "".join(path[: i + 1]))) < 2), None)
    path = path if ends is None else path[: ends + 1]
    for text, p in texts.items():
        tokens = [*cut(text), END]
        shared = 0
        while shared < len(path) and tokens[shared] == path[shared]:
            shared += 1
        own = "".join(path) if shared == len(path) else "".join(tokens[: shared + 1])
        found = reach(options, own)
        if shared == len(path) and ends is None:
            found = {own.strip()} & found or found
        for option in found:
            mass[option] += p / len(found)
    return mass


@given(models())
def test_scores_are_the_sum_over_all_texts_that_lead_to_an_option(model):
    options, texts, name = model
    content = emitted(texts, CUTS[name], 1000, 1000)
    mass = expected(options, texts, CUTS[name], [entry["token"] for entry in content])
    scores = option_scores(options, positions_of(content))
    # an even split over all options is as good as nothing
    if scores is None:
        assert max(mass.values()) - min(mass.values()) < 1e-9
        return
    got = {option: math.exp(score) for option, score in zip(options, scores, strict=True)}
    for option, m in mass.items():
        if m:
            assert got[option] == pytest.approx(m, rel=1e-6)
    unseen = [got[o] for o, m in mass.items() if not m]
    assert max(unseen, default=0.0) < min(got[o] for o, m in mass.items() if m)


@given(models(), st.integers(1, 4), st.integers(1, 6))
def test_however_little_is_listed_scores_are_log_probabilities(model, top, longest):
    options, texts, name = model
    scores = option_scores(options, positions_of(emitted(texts, CUTS[name], top, longest)))
    if scores is not None:
        assert len(scores) == len(options)
        assert max(scores) <= 0
        assert all(math.isfinite(score) for score in scores)
        assert sum(map(math.exp, scores)) <= 1 + 1e-9


@given(
    st.lists(
        st.builds(
            Position,
            st.sampled_from(["", "[", "1", "0", "]", " ", "[1]", "none", END]),
            st.floats(),
            st.lists(st.tuples(st.sampled_from(["", "[", "1", "]", " ", "[0]"]), st.floats()), max_size=5).map(tuple),
        ),
        max_size=6,
    )
)
def test_whatever_a_server_lists_is_scored_or_held_for_nothing(positions):
    scores = option_scores(["[0]", "[1]", "[10]"], positions)
    assert scores is None or (max(scores) <= 0 and sum(map(math.exp, scores)) <= 1 + 1e-9)


def test_a_prefix_of_two_options_is_told_apart_where_generation_went_through_it():
    options = ["[0]", "[1]", "[10]"]
    first = (("[1", math.log(0.7)), ("[0", math.log(0.2)), ("The", math.log(0.1)))
    second = (("]", math.log(0.9)), ("0", math.log(0.06)), ("5", math.log(0.04)))
    scores = option_scores(options, [Position("[1", math.log(0.7), first), Position("]", math.log(0.9), second)])
    assert [math.exp(s) for s in scores] == pytest.approx([0.2, 0.63, 0.042])


def test_a_prefix_of_two_options_off_the_path_is_split_evenly():
    first = (("[0", math.log(0.6)), ("[1", math.log(0.3)))
    scores = option_scores(["[0]", "[1]", "[10]"], [Position("[0", math.log(0.6), first)])
    assert [math.exp(s) for s in scores] == pytest.approx([0.6, 0.15, 0.15])


def test_an_option_seen_nowhere_gets_less_than_anything_listed():
    first = (("[0]", math.log(0.9)), ("[1]", math.log(0.05)), ("x", math.log(0.001)))
    scores = option_scores(["[0]", "[1]", "[2]"], [Position("[0]", math.log(0.9), first)])
    assert [math.exp(s) for s in scores] == pytest.approx([0.9, 0.05, 0.0005])


def test_options_seen_nowhere_share_what_the_lists_leave_open():
    first = (("[0]", math.log(0.96)), ("[1]", math.log(0.038)))
    scores = option_scores(["[0]", "[1]", "[2]", "[3]"], [Position("[0]", math.log(0.96), first)])
    assert [math.exp(s) for s in scores] == pytest.approx([0.96, 0.038, 0.001, 0.001], rel=1e-5)
    certain = option_scores(["[0]", "[1]"], [Position("[0]", 0.0, (("[0]", 0.0),))])
    assert [math.exp(s) for s in certain] == pytest.approx([1, 0], abs=1e-8)


def test_a_number_is_not_taken_for_a_longer_one():
    first = (("12", math.log(0.6)), ("1", math.log(0.3)), ("2", math.log(0.1)))
    scores = option_scores(["1", "2"], [Position("12", math.log(0.6), first)])
    assert [math.exp(s) for s in scores] == pytest.approx([0.3, 0.1])


@pytest.mark.parametrize("texts", [{"The best is [1]": 1.0}, {"[": 1.0}, {"!": 0.5, " ": 0.5}])
def test_where_no_option_shows_there_are_no_scores(texts):
    assert option_scores(LABELS, positions_of(emitted(texts, list, 20, 8))) is None
    assert option_scores(LABELS, []) is None
