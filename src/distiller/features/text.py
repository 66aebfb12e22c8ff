"""Normalised text of records: attribute values folded to comparable strings, and views of a record built from them."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SHORT_LENGTH = 100  # characters; an attribute whose values are longer on average is prose
KEY_FILL = 0.9  # share of records that must have a key
KEY_DISTINCT = 0.8  # share of distinct keys among records that have one

_UNITS = (
    "gb|mb|tb|kb|ghz|mhz|hz|khz|mm|cm|in|inch|inches|ft|feet|watts|watt|w|v|volts|volt|mp|megapixel|megapixels|lbs|lb|oz|kg|g|"
    "ml|l|min|mins|hr|hrs|pk|pack|x|pc|pcs|rpm|dpi|mah|ah|bit|port|ports"
)


def folded(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Lower-case text without accents and without the ".0" of whole numbers, missing values as "", [n_records]."""
    text = pc.fill_null(column.cast(pa.large_string()), "")
    if isinstance(text, pa.ChunkedArray):
        text = text.combine_chunks()
    if pc.any(pc.not_equal(pc.binary_length(text), pc.cast(pc.utf8_length(text), pa.int64()))).as_py():
        text = pc.utf8_normalize(text, form="NFKD")
        text = pc.replace_substring_regex(text, r"[\x{0300}-\x{036f}]+", "")
        text = pc.utf8_normalize(text, form="NFKC")
    text = pc.utf8_lower(text)
    return pc.replace_substring_regex(text, r"\b(\d+)\.0+\b", r"\1")


def words(text: pa.Array) -> pa.Array:
    """Runs of letters and digits (marks count as letters) with single blanks between them, [n_records]."""
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(text, r"[^\p{L}\p{M}\p{N}]+", " "))


def squeezed_codes(text: pa.Array) -> pa.Array:
    """Like `words`, but hyphens, points, slashes, underscores and hashes join what they stand between, [n_records]."""
    text = pc.replace_substring_regex(text, r"[-./_#]+", "")
    return words(text)


def number_words(text: pa.Array) -> pa.Array:
    """Like `words`, but decimal points stay; thousands' commas, leading zeros, units and a version's "v" go."""
    text = pc.replace_substring_regex(text, r"(\d),(\d\d\d)\b", r"\1\2")
    text = pc.replace_substring_regex(text, r"[^\p{L}\p{M}\p{N}.]+", " ")
    text = pc.replace_substring_regex(text, r"\b(\d+(?:\.\d+)?)(?:" + _UNITS + r")\b", r"\1")
    text = pc.replace_substring_regex(text, r"(^|\s)(?:v|0+)(\d)", r"\1\2")
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(text, r"(?:\.[.0]*)?(?:\s|^|$)\.*", " "))


def joined(columns: list[pa.Array], rows: int) -> pa.Array:
    """Values of several columns joined by blanks, empty ones left out, [n_records]."""
    empty = pa.array([""] * rows, pa.large_string())
    filled = [pc.if_else(pc.equal(c, ""), pa.scalar(None, pa.large_string()), c) for c in columns]
    # Arrow drops a row of which every part is skipped, hence the empty column.
    text = pc.binary_join_element_wise(empty, *filled, pa.scalar(" ", pa.large_string()), null_handling="skip")
    return pc.utf8_trim_whitespace(text)


@dataclass(frozen=True)
class Attribute:
    """One column of a table.

    folded: text as by `folded`; words: text as by `words`; mean_length: characters per filled value (0 if none);
    fill: share of records with a value; letters: share of filled values that contain a letter.
    """

    name: str
    folded: pa.Array
    words: pa.Array
    filled: np.ndarray
    mean_length: float
    letters: float

    @property
    def is_text(self) -> bool:
        """Whether values are short texts rather than numbers or prose."""
        return self.letters >= 0.5 and 0 < self.mean_length <= SHORT_LENGTH

    @property
    def is_prose(self) -> bool:
        """Whether values are long texts."""
        return self.letters >= 0.5 and self.mean_length > SHORT_LENGTH


def attributes(table: pa.Table) -> list[Attribute]:
    """All columns but `id`, in the table's order."""
    found = []
    for name in table.column_names:
        if name == "id":
            continue
        text = folded(table[name])
        plain = words(text)
        length = pc.utf8_length(plain).to_numpy(zero_copy_only=False)
        filled = length > 0
        with_letter = pc.match_substring_regex(plain, r"\p{L}").to_numpy(zero_copy_only=False)
        many = max(int(filled.sum()), 1)
        found.append(Attribute(name, text, plain, filled, float(length.sum()) / many, float(with_letter.sum()) / many))
    return found


def key_names(columns: list[Attribute]) -> list[str]:
    """The shortest leading run of short text attributes that tells records apart.

    That is: at least `KEY_FILL` of the records have one, and `KEY_DISTINCT` of those are distinct. All short text
    attributes where no run does; the first attribute with any value where there is no short text attribute.
    """
    texts = [c for c in columns if c.is_text]
    if not texts:
        return [c.name for c in columns if c.filled.any()][:1]
    rows = len(texts[0].filled)
    for count in range(1, len(texts) + 1):
        key = joined([c.words for c in texts[:count]], rows)
        filled = int(pc.sum(pc.not_equal(key, "")).as_py() or 0)
        if filled >= KEY_FILL * rows and pc.count_distinct(key).as_py() >= KEY_DISTINCT * filled:
            return [c.name for c in texts[:count]]
    return [c.name for c in texts]


@dataclass(frozen=True)
class Views:
    """Texts of every record of one table, each [n_records]: everything, the key, the short attributes, the prose.

    `key_folded` is the key with its punctuation, `digits_folded` all values that contain a digit with theirs.
    """

    all: pa.Array
    key: pa.Array
    short: pa.Array
    prose: pa.Array
    key_folded: pa.Array
    digits_folded: pa.Array


def views(queries: list[Attribute], candidates: list[Attribute], rows: tuple[int, int]) -> tuple[Views, Views]:
    """Views of the queries and of the candidates.

    An attribute that is part of the key on one side is part of it on the other side too, if that has it.
    """
    keys = set(key_names(queries)) | set(key_names(candidates))
    own = [set(key_names(side)) | ({c.name for c in side} & keys) for side in (queries, candidates)]
    return _views(queries, own[0], rows[0]), _views(candidates, own[1], rows[1])


def _views(columns: list[Attribute], keys: set[str], rows: int) -> Views:
    return Views(
        all=joined([c.words for c in columns], rows),
        key=joined([c.words for c in columns if c.name in keys], rows),
        short=joined([c.words for c in columns if not c.is_prose], rows),
        prose=joined([c.words for c in columns if c.is_prose], rows),
        key_folded=joined([c.folded for c in columns if c.name in keys], rows),
        digits_folded=joined([_with_digit(c.folded) for c in columns], rows),
    )


def _with_digit(text: pa.Array) -> pa.Array:
    return pc.if_else(pc.match_substring_regex(text, r"\d"), text, pa.scalar("", text.type))
