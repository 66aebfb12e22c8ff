"""Which values an explanation quotes, which attributes it names, and what stands in a record."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matching_instances import relaxed

from distiller.rationale.attributes import vocabulary
from distiller.rationale.quoted import Content, Quote, quotes, tokens

WORDS = st.text("abcdefgh", min_size=2, max_size=6)
RECORD = Content(
    {
        "title": "Linksys EtherFast 8-Port 10/100 Switch - EZXS88W",
        "price": "1,076.00",
        "released": "2003-05-01",
        "authors": "Renée Müller, John P. Smith, Ann O'Neil",
        "episodeNumber": "3.0",
    }.items()
)


def found(text, attributes=()):
    return [(q.kind, q.text) for q in quotes(text, vocabulary(tuple(attributes)).words)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The title 'Red Dust' is the same.", [("text", "Red Dust")]),
        ("The title “Red Dust” is the same.", [("text", "Red Dust")]),
        ("Both are called 'Editor's Choice', I think.", [("text", "Editor's Choice")]),
        ("It has a 13' screen and a 42' one.", [("number", "13"), ("number", "42")]),
        ("The model EZXS88W and the model CDP-CX355 differ.", [("code", "EZXS88W"), ("code", "CDP-CX355")]),
        ("Both cost $1,076.00 and hold 60GB.", [("number", "$1,076.00"), ("code", "60GB")]),
        ("Released May 1, 2003 and again on 2004-06-07.", [("number", "May 1, 2003"), ("number", "2004-06-07")]),
        ("The writer is Richard T. Snodgrass.", [("name", "Richard T. Snodgrass")]),
        ("However, Ann Lee wrote it.", [("name", "Ann Lee")]),
        ("Ann Lee and Bob Ray wrote it.", [("name", "Ann Lee"), ("name", "Bob Ray")]),
    ],
)
def test_values_in_quotation_marks_codes_numbers_and_names_are_quoted(text, expected):
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "The correct answer is [8], not [3].",
        "The given record and candidate 8 agree.",
        "Of the candidates, record number 5. The rest differ.",
        "Candidates [1], [2] and [3] are others.",
        "The answer '[2]' is right.",
        "The prices show a difference of only $0.02.",
        "The 10 candidates agree in 90% of the cases.",
        "The 3rd candidate fits.",
        "The Candidate Record matches the Given Record.",
        "The first name starts with 'D'.",
    ],
)
def test_numbers_of_candidates_counts_and_single_letters_are_no_values(text):
    assert found(text) == []


def test_names_of_attributes_in_quotation_marks_are_no_values_and_labels_are_cut_off():
    attributes = ["title", "episodeNumber", "release_year", "job"]
    assert found("'title', 'episodeNumber' and 'release year' are equal.", attributes) == []
    assert found("It uses 'job: actor' here.", attributes) == [("text", "actor")]
    assert found("'title' is the same.") == [("text", "title")]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("text", "linksys etherfast"),
        ("text", "LINKSYS ETHERFAST 8 PORT"),
        ("text", "Renee Muller"),
        ("text", "Ann O'Neil, John P. Smith"),
        ("text", "3"),
        ("number", "$1076"),
        ("number", "May 1, 2003"),
        ("number", "1st May 2003"),
        ("number", "2003"),
        ("number", "10/100"),
        ("code", "EZXS-88W"),
        ("code", "8port"),
        ("name", "John P. Smith"),
        ("name", "Smith John"),
        ("name", "Linksys Ports"),
    ],
)
def test_a_value_stands_in_a_record_however_it_is_spelt(kind, text):
    assert RECORD.holds(Quote(text, kind, 0))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("text", "Linksys Switch"),
        ("text", "Linksys, Netgear"),
        ("text", "link"),
        ("number", "107"),
        ("number", "June 1, 2003"),
        ("number", "5.5"),
        ("code", "EZXS55W"),
        ("name", "John Doe"),
    ],
)
def test_a_value_that_the_record_does_not_have_does_not_stand_in_it(kind, text):
    assert not RECORD.holds(Quote(text, kind, 0))


@relaxed
@given(st.lists(WORDS, min_size=2, max_size=6), st.data())
def test_every_stretch_of_words_stands_in_its_value_and_none_that_has_another_word(words, data):
    record = Content([("title", " ".join(words))])
    begin = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(begin + 1, len(words)))
    stretch = " ".join(words[begin:end]).upper()
    assert record.holds(Quote(stretch, "text", 0))
    citable = len("".join(words[begin:end])) >= 3 or end - begin == len(words)
    assert record.attributes(Quote(stretch, "text", 0)) == (["title"] if citable else [])
    assert not record.holds(Quote(f"{stretch} zz", "text", 0))


@relaxed
@given(st.integers(0, 10**9), st.integers(0, 99))
def test_numbers_are_equal_however_they_are_written(whole, cents):
    plain = f"{whole}.{cents:02d}"
    expected = str(float(plain)) if cents else str(whole)
    assert tokens(plain) == tokens(f"{whole:,}.{cents:02d}") == tokens(f"${plain}")
    assert float(tokens(plain)[0]) == float(plain)
    if not cents:
        assert tokens(plain) == (expected,) == tokens(str(whole))


def test_an_attribute_is_named_by_its_own_name_in_words_in_the_plural_and_by_plain_synonyms():
    names = vocabulary(
        ("title", "episodeNumber", "startYear", "birthYear", "modelno", "primaryProfessions", "genre_list")
    )
    told = names.mentions(
        "Titles, the episode number, episodeNumber, model number, modelno, years, start year, occupation, genre and genre_list"
    )
    assert [attributes for _, attributes in told] == [
        ["title"],
        ["episodeNumber"],
        ["episodeNumber"],
        ["modelno"],
        ["modelno"],
        ["startYear", "birthYear"],
        ["startYear"],
        ["primaryProfessions"],
        ["genre_list"],
        ["genre_list"],
    ]
    assert names.mentions("The subtitles and the untitled one are remodelled.") == []
