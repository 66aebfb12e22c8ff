"""Which values of its query record an explanation gives as reasons."""

import itertools
import re

import numpy as np
import pyarrow as pa

from distiller.artifacts import AnswerSet
from distiller.rationale.attributes import Mention, vocabulary
from distiller.rationale.quoted import Content, Quote, quotes, straight, with_blanks
from distiller.records import rows_of
from distiller.task import Task

_CLAUSE = re.compile(
    r"[()]|[.;!?](?=\s|$)|,?\s+(?:but|however|although|though|while|whereas|despite|except|because|since|as they|as it)\b"
    r"|\b(?:However|Although|Though|While|Despite|The only difference)\b"
)
_CONCEDES = re.compile(
    r"\b(?:differ\w*|discrepanc\w+|although|though|while|whereas|despite|except|not|no|missing|lacks?|absent|vary|varies|vs|variations?)\b"
    r"|n't\b",
    re.IGNORECASE,
)
_REASON = re.compile(r"\b(?:because|since|as they|as it)\b", re.IGNORECASE)


class Contents:
    """What the records of one table say, by id; only records asked for are read."""

    def __init__(self, table: pa.Table, ids: np.ndarray, what: str):
        ids = np.unique(ids)
        taken = table.take(pa.array(rows_of(table["id"].to_numpy(), ids, what)))
        self._row = {int(i): row for row, i in enumerate(ids)}
        self._columns = {name: taken[name].to_pylist() for name in taken.column_names if name != "id"}
        self._made: dict[int, Content] = {}

    def text(self, record: int) -> dict[str, str]:
        """Attributes that have a value, and the value."""
        row = self._row[record]
        return {name: column[row] for name, column in self._columns.items() if column[row] is not None}

    def __getitem__(self, record: int) -> Content:
        if record not in self._made:
            self._made[record] = Content(self.text(record).items())
        return self._made[record]


def attribute_names(task: Task) -> tuple[str, ...]:
    """Attributes of both tables, those of the queries first."""
    both = [*task.records.queries.column_names, *task.records.candidates.column_names]
    return tuple(name for name in dict.fromkeys(both) if name != "id")


def conceded(text: str) -> list[tuple[int, int]]:
    """Stretches of the text that grant a difference instead of giving a reason ("although the price differs")."""
    text = with_blanks(straight(text))
    cuts = [0, *(match.start() for match in _CLAUSE.finditer(text)), len(text)]
    spans = itertools.pairwise(cuts)
    return [(a, b) for a, b in spans if _CONCEDES.search(text, a, b) and not _REASON.match(text[a:b].lstrip(" ,"))]


def cites(text: str, choice: int, query: Content, named: list[Mention], quoted: list[Quote]) -> list[str]:
    """Attributes of the query record that the explanation of answer `choice` gives as reasons, in the record's order.

    These are the attributes `named` and those whose value is `quoted`, where the record has a value. When a candidate was
    chosen, what is only said to differ is no reason; when "none" was, a difference is the reason. An unread answer (-1)
    has none.
    """
    if choice < 0:
        return []
    granted = conceded(text) if choice > 0 else []
    found: set[str] = set()
    for place, attributes in named:
        if not any(a <= place < b for a, b in granted):
            found.update(attributes)
    for quote in quoted:
        if not any(a <= quote.start < b for a, b in granted):
            found.update(query.attributes(quote))
    return [name for name in query.values if name in found]


def cited(task: Task, answers: AnswerSet) -> pa.Table:
    """The values of the query records that the answers' explanations give as reasons.

    One row per value: query_id, attribute, value; by query and the table's order of attributes. Answers that were not read
    and those without an explanation have none. See `cites` for what counts.
    """
    names = vocabulary(attribute_names(task))
    queries = Contents(task.records.queries, answers.query_ids, "queries")
    rows: list[tuple[int, str, str]] = []
    explained = zip(
        answers.query_ids.tolist(), answers.table["rationale"].to_pylist(), answers.choice.tolist(), strict=True
    )
    for query, text, choice in explained:
        if text:
            values = queries.text(query)
            reasons = cites(text, choice, queries[query], names.mentions(text), quotes(text, names.words))
            rows += [(query, attribute, values[attribute]) for attribute in reasons]
    ids, attributes, values_ = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table(
        {
            "query_id": pa.array(ids, pa.int64()),
            "attribute": pa.array(attributes, pa.string()),
            "value": pa.array(values_, pa.string()),
        }
    )
