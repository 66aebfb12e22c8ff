"""The values that an explanation quotes, and whether they stand in a record.

A quoted value is, in this order and without overlap:

* `text`: what stands in quotation marks, single or double, straight or curly, except a single letter;
* `code`: a word of letters and digits (`EZXS88W`, `CDP-CX355`, `60GB`, `8-Port`);
* `number`: a number, price, date or version (`$1,076.00`, `2003-05-01`, `10/100`);
* `name`: two or more capitalised words in a row (`Richard T. Snodgrass`).

Not values: numbers of candidates (`[8]`, `candidate 8`), counts of candidates, percentages, differences ("a difference of
$2"), ordinals, and names of attributes in quotation marks.

Text is compared without case, accents and punctuation; `3.0` is `3`, `1,076` is `1076`, `May 1, 2003` is `2003-05-01`. A text
in quotation marks must stand in one value word for word, or all parts of it that commas separate must; blanks and hyphens
within codes do not count. A name stands in a record that has all its words, in the singular or the plural.
"""

import html
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = r"\b(" + "|".join(_MONTHS) + r")(?:[a-z]*\.?)"
_MONTH_FIRST = re.compile(_MONTH + r"\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})\b")
_DAY_FIRST = re.compile(r"\b(\d{1,2})(?:st|nd|rd|th)?\s+(?:of\s+)?" + _MONTH + r",?\s+(\d{4})\b")
_CURLY = str.maketrans(
    "\u2018\u2019\u201a\u201b\u2032\u0060\u201c\u201d\u201e\u201f\u2033\u2013\u2014", "'" * 6 + '"' * 5 + "--"
)
_TOKEN = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\d,])|\d+(?:\.\d+)?|[^\W\d_]+")
_APOSTROPHE = re.compile(r"(?<=[a-z])'(?=[a-z])")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")

_TEXT = re.compile(r"(?<![\w'\"])(?:'(?=\S)([^\n]{1,300}?)(?<=\S)'|\"(?=\S)([^\n]{1,300}?)(?<=\S)\")(?![\w'])")
_REFERENCE = re.compile(
    r"\[\s*\d+(?:\s*,\s*\d+)*\s*\]"
    r"|\b(?:[Cc]andidates?|[Rr]ecords?|[Oo]ptions?|[Aa]nswers?|[Ii]ndex|[Cc]hoice)"
    r"(?:\s+(?:[Rr]ecords?|[Nn]umbers?|no\.?|at index|#))*\s*#?\d{1,2}"
    r"(?:(?:,\s*|\s+and\s+|,\s+and\s+)\d{1,2})*(?![\w-]|\.\d)"
)
_OF_OPTION = re.compile(rf"\d{{1,2}}|{_REFERENCE.pattern}")
_DIGIT = re.compile(r"\d")
_NO_VALUE = re.compile(
    r"\b\d+(?:st|nd|rd|th)\b"
    r"|\d+(?:\.\d+)?\s?%"
    r"|\bdifference of (?:\w+ ){0,2}[$€£]?[\d.,]*\d"
    r"|\b\d+ (?:of|out of|other|candidates?|records?|options?|attributes?|fields?|words?)\b"
)
_DATE = re.compile(f"{_MONTH_FIRST.pattern}|{_DAY_FIRST.pattern}", re.IGNORECASE)
_CODE = re.compile(
    r"(?<![\w.])(?:[A-Za-z][A-Za-z_./+-]*\d|\d[\d_./+-]*[A-Za-z])(?:[\w./+-]*[A-Za-z0-9+])?(?!\w)", re.ASCII
)
_NUMBER = re.compile(r"(?<![\w\[.])[$€£]?\d+(?:[.,/:-]\d+)*(?![\w\]])")
_WORD = r"(?:(?:[A-Z]\.)+|[A-Z][\w'&/+-]*)"
_NAME = re.compile(rf"(?<!\w){_WORD}(?:\s+(?:(?:of|the|for|de|la|van|von|der|den|in|on|&|-)\s+){{0,2}}{_WORD})+")
_LABELLED = re.compile(r"(?:\[COL\]\s*)?(\w[\w ]*?)\s*(?::|=|\[VAL\])\s*")  # 'job: writer'
_LIST = re.compile(r"\s*[,;/]\s*(?:and\s+)?|\s+and\s+|\s+&\s+|\s+or\s+")

_CONNECTING = frozenset(["of", "the", "for", "in", "on"])
#: Capitalised words that are no part of a name: they open sentences or belong to the question itself.
NO_NAME = frozenset(
    re.findall(
        r"\S+",
        """a all also although among an and answer answers any are as at attribute attributes based because both but by candidate
    candidates choice correct data despite different each either entities entity every except field fields for former from
    given he her his however if in information instead is it its latter like matches match matching neither no none nor not
    note of on one only option options or original other others our provided question real-world record records response
    same schema selected selection she similarly since so some such task than that the their them there therefore these they
    this those though thus to true under we what when where whereas which while who with without yes you your""",
    )
)


def straight(text: str) -> str:
    """The text with straight quotation marks and plain dashes; no place moves."""
    return text.translate(_CURLY)


def choices(*words: str) -> str:
    """A regular expression for any of these words, each itself a regular expression."""
    return f"(?:{'|'.join(words)})"


class Quote(NamedTuple):
    """One value an explanation quotes. kind: `text`, `code`, `number` or `name`; start: its place in the explanation."""

    text: str
    kind: str
    start: int


def plain(text: str) -> str:
    """The text in lower case without accents, with straight quotation marks and with dates written `2003-05-01`."""
    if "&" in text:
        text = html.unescape(text)
    if not text.isascii():
        text = unicodedata.normalize("NFKD", straight(text))
        text = "".join(letter for letter in text if not unicodedata.combining(letter))
    text = _APOSTROPHE.sub("", text.lower())
    if any(month in text for month in _MONTHS):
        text = _MONTH_FIRST.sub(lambda m: _iso(m[3], m[1], m[2]), text)
        text = _DAY_FIRST.sub(lambda m: _iso(m[3], m[2], m[1]), text)
    return text


def _iso(year: str, month: str, day: str) -> str:
    return f"{year}-{_MONTHS.index(month) + 1:02d}-{int(day):02d}"


@lru_cache(maxsize=65_536)
def tokens(text: str) -> tuple[str, ...]:
    """Words and numbers of a text, normalised; letters and digits that touch are separate tokens."""
    return tuple(_number(t) if t[0].isdigit() else t for t in _TOKEN.findall(plain(text)))


def _number(token: str) -> str:
    whole, _, decimals = token.replace(",", "").partition(".")
    decimals = decimals.rstrip("0")
    whole = whole.lstrip("0") or "0"
    return f"{whole}.{decimals}" if decimals else whole


def words_of(name: str) -> str:
    """The words of an attribute's name: `episodeNumber` and `episode_number` are `episode number`."""
    return " ".join(tokens(_CAMEL.sub(" ", name).replace("_", " ")))


class Value:
    """One value of a record, ready to be searched."""

    __slots__ = ("compact", "spaced", "words")

    def __init__(self, text: str):
        found = tokens(text)
        self.words = frozenset(found)
        self.spaced = f" {' '.join(found)} "
        self.compact = "".join(found)

    def holds(self, needle: tuple[str, ...]) -> bool:
        """Whether these tokens stand here one after the other, or the same letters and digits with other blanks."""
        if f" {' '.join(needle)} " in self.spaced:
            return True
        joined = "".join(needle)
        return len(joined) >= 4 and (len(needle) > 1 or joined[0].isdigit()) and joined in self.compact


class Content:
    """What one record says: its values by attribute; attributes without a value are absent."""

    def __init__(self, values: Iterable[tuple[str, str]]):
        self.values = {name: Value(text) for name, text in values}
        self.words = frozenset().union(*(value.words for value in self.values.values()))

    def holds(self, quote: Quote) -> bool:
        """Whether the record says what is quoted."""
        needle = tokens(quote.text)
        if quote.kind == "name":
            return self._holds_words(needle) or any(v.holds(needle) for v in self.values.values())
        return any(value.holds(needle) for value in self.values.values()) or self._holds_parts(quote)

    def _holds_words(self, name: tuple[str, ...]) -> bool:
        return all(w in _CONNECTING or not self.words.isdisjoint((w, w + "s", w.removesuffix("s"))) for w in name)

    def _holds_parts(self, quote: Quote) -> bool:
        parts = [tokens(part) for part in _LIST.split(quote.text)] if quote.kind in ("text", "code") else []
        parts = [part for part in parts if part]
        return len(parts) > 1 and all(any(v.holds(part) for v in self.values.values()) for part in parts)

    def attributes(self, quote: Quote) -> list[str]:
        """Attributes whose value holds the quote; one of one or two characters must be the whole value."""
        needle = tokens(quote.text)
        if quote.kind == "text" and not any(value.holds(needle) for value in self.values.values()):
            parts = [part for part in map(tokens, _LIST.split(quote.text)) if part]
        else:
            parts = [needle]
        found = []
        for name, value in self.values.items():
            for part in parts:
                if len("".join(part)) < 3:
                    held = value.spaced.split() == list(part)
                elif quote.kind == "name":
                    held = value.holds(part) or value.words.issuperset(part)
                else:
                    held = value.holds(part)
                if held:
                    found.append(name)
                    break
        return found


def quotes(text: str, attribute_words: frozenset[str] = frozenset()) -> list[Quote]:
    """The values an explanation quotes, in its order.

    attribute_words: names of attributes in lower case; alone in quotation marks they are no value.
    """
    text = straight(text)
    found: list[Quote] = []

    def take(match: re.Match[str]) -> str:
        inner = match[1] or match[2]
        labelled = _LABELLED.match(inner)
        if labelled and words_of(labelled[1]) in attribute_words:
            inner = inner[labelled.end() :]
        words = words_of(inner.replace("\0", ""))
        if words not in attribute_words and (len(words) > 1 or words.isdigit()):
            found.append(Quote(inner, "text", match.start() + 1))
        return _blank(match)

    rest = _NO_VALUE.sub(_blank, _TEXT.sub(take, _REFERENCE.sub(_blank, text)))
    for kind, pattern in (("number", _DATE), ("code", _CODE), ("name", _NAME), ("number", _NUMBER)):
        matches = list(pattern.finditer(rest)) if kind != "number" or _DIGIT.search(rest) else []
        for match in matches:
            found += _names(match, attribute_words) if kind == "name" else [Quote(match[0], kind, match.start())]
        rest = pattern.sub(_blank, rest) if matches else rest
    return sorted(found, key=lambda quote: quote.start)


def with_blanks(text: str) -> str:
    """The text with everything in (straight) quotation marks overwritten; no place moves."""
    return _TEXT.sub(_blank, text)


def without_quoted(text: str) -> str:
    """The text with a blank for everything in (straight) quotation marks, except numbers of candidates such as `'[3]'`."""
    return _TEXT.sub(lambda m: m[0] if _OF_OPTION.fullmatch((m[1] or m[2]).strip()) else '"" ', text)


def _blank(match: re.Match[str]) -> str:
    return "\0" * len(match[0])  # neither a word nor a blank, so that what stands on its sides does not join


def _names(run: re.Match[str], attribute_words: frozenset[str]) -> list[Quote]:
    """The names in a row of capitalised words: what words like "Candidate" or "However" leave of it."""
    found, words = [], [*re.finditer(r"\S+", run[0]), None]
    begin = end = size = 0
    for word in words:
        bare = "" if word is None else word[0].lower().removesuffix("'s")
        joins = word is not None and not word[0][0].isupper() and size > 0
        if word is None or (not joins and (bare in NO_NAME or bare in attribute_words)):
            if size > 1:
                found.append(Quote(run[0][begin:end].replace("'s", ""), "name", run.start() + begin))
            size = 0
        elif not joins and word[0][0].isupper():
            begin, end, size = (word.start() if not size else begin), word.end(), size + 1
    return found
