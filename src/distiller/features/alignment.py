"""Which attributes of the two tables mean the same, and how well their values agree.

Attributes of one name are aligned. Every other attribute is aligned with the one whose values agree more on
candidate pairs than on shuffled pairs by the widest margin: blocking brings alike records together, so values of
attributes that mean the same agree there, without any label.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rapidfuzz import fuzz

from distiller.features.bags import Vocabulary, cosine, token_bags
from distiller.features.similarity import compared, strings_of
from distiller.features.text import Attribute

SAMPLE = 1500  # candidate pairs on which attributes are compared
LEAST_LIFT = 0.04  # by how much aligned attributes must agree better on candidates than on shuffled pairs
PARSED = 0.8  # share of values that must parse for an attribute to hold numbers or dates
LONGEST_AMOUNT = 25  # characters; an attribute whose values are longer on average holds no plain numbers or dates
SLOTS = 4  # aligned attributes that get a column of their own, those that tell most first

NULLABLE = frozenset(
    [f"{kind}.{part}" for kind in ("attribute", "text", "number", "date") for part in ("mean", "min", "max")]
    + [f"slot{i + 1}.agreement" for i in range(SLOTS)]
    + ["attribute.weighted", "prose.max"]
)  # the only features that can be NaN

_AMOUNT = r"^[^a-z\d]{0,3}(?P<number>\d[\d,]{0,14}(?:\.\d{1,14})?)\D{0,10}$"
_DATE = r"^(?P<year>1[5-9]\d\d|20\d\d)(?:[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2}))?(?:[ t].*)?$"


@dataclass(frozen=True)
class Column:
    """One attribute with its values parsed.

    kind: text, prose, number or date; value: number, or year with fraction, NaN where there is none, [n_records].
    """

    attribute: Attribute
    kind: str
    value: np.ndarray
    strings: np.ndarray


@dataclass(frozen=True)
class Aligned:
    """A pair of attributes. lift: mean agreement on candidate pairs less that on shuffled ones; bags for prose."""

    query: Column
    candidate: Column
    lift: float
    is_key: bool
    bags: Vocabulary | None


def column(attribute: Attribute) -> Column:
    """The attribute's kind and parsed values; dates without a day, or on the first of January, are whole years."""
    text = attribute.folded
    filled = max(int(attribute.filled.sum()), 1)
    strings = strings_of(attribute.words)
    if attribute.mean_length > LONGEST_AMOUNT:
        return Column(attribute, "prose" if attribute.is_prose else "text", np.full(len(text), np.nan), strings)
    dates = pc.extract_regex(text, _DATE)
    year = _number(dates, "year")
    if np.isfinite(year).sum() >= PARSED * filled:
        month, day = _number(dates, "month"), _number(dates, "day")
        whole = ~np.isfinite(month) | ((month == 1) & (day == 1))
        return Column(attribute, "date", np.where(whole, year, year + (month * 31 + day) / 500.0), strings)
    amount = _number(pc.extract_regex(text, _AMOUNT), "number")
    if np.isfinite(amount).sum() >= PARSED * filled:
        return Column(attribute, "number", amount, strings)
    return Column(attribute, "text", np.full(len(text), np.nan), strings)


def _number(extracted: pa.Array, field: str) -> np.ndarray:
    text = pc.replace_substring(pc.struct_field(extracted, field), ",", "")
    text = pc.if_else(pc.equal(text, ""), pa.scalar(None, text.type), text)
    return pc.cast(text, pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)


def agreement(aligned: Aligned, query_rows: np.ndarray, candidate_rows: np.ndarray) -> np.ndarray:
    """Agreement of the values of each pair, [n_pairs], in [0, 1]; NaN where either is missing.

    Text: mean of the sorted and the set ratio; prose: TF-IDF cosine; numbers: smaller through larger; dates: 1 for the
    same day (the same year, if one knows no more), 0.9 for another day of the year, else 1 / (1 + years apart).
    """
    query, candidate = aligned.query, aligned.candidate
    if query.kind in ("number", "date"):
        one, other = query.value[query_rows], candidate.value[candidate_rows]
        if query.kind == "number":
            largest = np.maximum(np.abs(one), np.abs(other))
            return np.where(largest == 0, 1.0, np.minimum(one, other) / np.where(largest == 0, 1.0, largest))
        years = np.abs(np.floor(one) - np.floor(other))
        exact = (one == other) | ((years == 0) & ((one % 1 == 0) | (other % 1 == 0)))
        return np.where(
            np.isnan(one + other), np.nan, np.where(exact, 1.0, np.where(years == 0, 0.9, 1.0 / (1.0 + years)))
        )
    known = query.attribute.filled[query_rows] & candidate.attribute.filled[candidate_rows]
    result = np.full(len(query_rows), np.nan)
    at = np.flatnonzero(known)
    if aligned.bags is not None:
        result[at] = cosine(aligned.bags, query_rows[at], candidate_rows[at])
    else:
        one, other = query.strings[query_rows[at]], candidate.strings[candidate_rows[at]]
        result[at] = (compared(fuzz.token_sort_ratio, one, other) + compared(fuzz.token_set_ratio, one, other)) / 2.0
    return result


def align(
    queries: list[Attribute],
    candidates: list[Attribute],
    key_names: tuple[set[str], set[str]],
    query_rows: np.ndarray,
    candidate_rows: np.ndarray,
    pair_order: np.ndarray,
) -> list[Aligned]:
    """Aligned attributes, widest lift first.

    pair_order: positions of the pairs in an order that does not depend on that of the rows; the first are the sample.
    """
    sample = pair_order[:SAMPLE]
    rows = query_rows[sample], candidate_rows[sample]
    shuffled = rows[0], np.roll(rows[1], len(sample) // 2)
    of_query, of_candidate = (
        [column(a) for a in queries if a.filled.any()],
        [column(a) for a in candidates if a.filled.any()],
    )
    common = {c.attribute.name for c in of_query} & {c.attribute.name for c in of_candidate}
    found: dict[tuple[str, str], Aligned] = {}
    for one in of_query:
        for other in of_candidate:
            names = one.attribute.name, other.attribute.name
            if (one.kind != other.kind and names[0] != names[1]) or (names[0] in common) != (names[1] in common):
                continue
            if names[0] in common and names[0] != names[1]:
                continue
            one_, other_ = _same_kind(one, other)
            bags = token_bags(one_.attribute.words, other_.attribute.words) if one_.kind == "prose" else None
            pair = Aligned(one_, other_, 0.0, names[0] in key_names[0] and names[1] in key_names[1], bags)
            lift = _mean(agreement(pair, *rows)) - _mean(agreement(pair, *shuffled))
            found[names] = Aligned(one_, other_, lift, pair.is_key, bags)
    kept = {names for names in found if names[0] == names[1]}
    for side in (0, 1):
        best: dict[str, tuple[float, tuple[str, str]]] = {}
        for names, pair in found.items():
            if names[0] != names[1] and pair.lift >= LEAST_LIFT:
                best[names[side]] = max(best.get(names[side], (-1.0, names)), (pair.lift, names))
        kept |= {names for _, names in best.values()}
    return [found[names] for names in sorted(kept, key=lambda names: (-round(found[names].lift, 6), names))]


def _same_kind(one: Column, other: Column) -> tuple[Column, Column]:
    """The columns with one kind: that of both, else prose if either is, else text."""
    if one.kind == other.kind:
        return one, other
    kind = "prose" if "prose" in (one.kind, other.kind) else "text"
    return Column(one.attribute, kind, one.value, one.strings), Column(
        other.attribute, kind, other.value, other.strings
    )


def _mean(values: np.ndarray) -> float:
    known = np.isfinite(values)
    return float(values[known].mean()) if known.sum() >= 5 else 0.0


def alignment_features(
    aligned: list[Aligned], query_rows: np.ndarray, candidate_rows: np.ndarray
) -> dict[str, np.ndarray]:
    """Agreement of aligned attributes over each pair, each [n_pairs].

    Those in `NULLABLE` are NaN where no such attribute is known on both sides; the others are counts. The attributes
    that form the key count towards `weighted`, `known`, `equal`, `conflicts` and `one_sided` only.
    """
    n_pairs = len(query_rows)
    values = np.full((n_pairs, len(aligned)), np.nan)
    one_sided = np.zeros((n_pairs, len(aligned)), dtype=bool)
    for i, pair in enumerate(aligned):
        values[:, i] = agreement(pair, query_rows, candidate_rows)
        one_sided[:, i] = pair.query.attribute.filled[query_rows] != pair.candidate.attribute.filled[candidate_rows]
    kind = np.array([pair.query.kind for pair in aligned], dtype=object)
    other = ~np.array([pair.is_key for pair in aligned], dtype=bool)
    known = np.isfinite(values)
    least = np.array([{"text": 0.4, "prose": 0.1, "number": 0.9, "date": 0.6}[k] for k in kind])
    found = {
        "attribute.known": known.sum(1),
        "attribute.one_sided": one_sided.sum(1),
        "attribute.equal": (values >= 0.995).sum(1),
        "attribute.conflicts": (values < least).sum(1),
    }
    found |= _summary("attribute", values, other, ("mean", "min", "max"))
    weight = np.maximum([pair.lift for pair in aligned], 0.0) * known
    total = weight.sum(1)
    found["attribute.weighted"] = np.where(
        total > 0, np.nansum(weight * np.nan_to_num(values), 1) / np.where(total > 0, total, 1), np.nan
    )
    for name in ("text", "number", "date", "prose"):
        found |= _summary(name, values, other & (kind == name), ("max",) if name == "prose" else ("mean", "min", "max"))
    slots = np.flatnonzero(other)[:SLOTS]
    for i in range(SLOTS):
        found[f"slot{i + 1}.agreement"] = values[:, slots[i]] if i < len(slots) else np.full(n_pairs, np.nan)
    return {name: np.asarray(value, dtype=np.float64) for name, value in found.items()}


def _summary(name: str, values: np.ndarray, wanted: np.ndarray, parts: tuple[str, ...]) -> dict[str, np.ndarray]:
    chosen = values[:, wanted]
    known = np.isfinite(chosen)
    none = ~known.any(1)
    made = {
        "mean": np.where(known, chosen, 0.0).sum(1) / np.maximum(known.sum(1), 1),
        "min": np.where(known, chosen, np.inf).min(1, initial=np.inf),
        "max": np.where(known, chosen, -np.inf).max(1, initial=-np.inf),
    }
    return {f"{name}.{part}": np.where(none, np.nan, made[part]) for part in parts}
