"""Does an answer hang on what its explanation cites? Take the cited values away, ask again, and see whether it moves.

`counterfactual` makes the two questions: the query records without what was cited, and, as a control, without about as much
that was not cited. The caller has its teacher answer both; `movement` compares the three answer sets. An explanation that
names the true reasons loses more answers to the first question than to the second.

Source: erasure of rationales, "comprehensiveness" of DeYoung et al. 2020, with answers in place of probabilities and whole
values in place of tokens.
"""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from distiller.artifacts import AnswerSet
from distiller.config import DistillerError
from distiller.rationale.citations import Contents, cited
from distiller.records import rows_of
from distiller.task import Task


@dataclass(frozen=True)
class Counterfactual:
    """Two changed tasks about the same queries; candidates, ids and all other queries stay as they were.

    query_ids: the queries to ask again, ascending: those whose explanation cites a value and leaves another uncited. For a
      fair comparison see `balanced`.
    without_cited: the task in which their cited values are null. without_others: the control.
    removed: what was taken: query_id, attribute, value, control (False: cited, True: taken in the control).
    everything_cited: number of queries left out because nothing would be left of the record.
    nothing_cited: number of answered queries left out because their explanation cites nothing.
    """

    query_ids: np.ndarray
    without_cited: Task
    without_others: Task
    removed: pa.Table
    everything_cited: int
    nothing_cited: int

    def balanced(self, share: float = 0.5) -> np.ndarray:
        """Ids of the queries from which the two questions took about as much, ascending.

        That is where the smaller number of characters taken is at least `share` of the larger. An explanation that names
        nearly all of its record leaves the control little to take, so `movement` over all queries favours what is cited.
        """
        lengths = pc.utf8_length(self.removed["value"]).to_numpy()
        place = np.searchsorted(self.query_ids, self.removed["query_id"].to_numpy())
        control = self.removed["control"].to_numpy(zero_copy_only=False)
        taken = [
            np.bincount(place[side], weights=lengths[side], minlength=len(self.query_ids))
            for side in (control, ~control)
        ]
        return self.query_ids[np.minimum(*taken) >= share * np.maximum(*taken)]


def counterfactual(task: Task, answers: AnswerSet) -> Counterfactual:
    """The questions to ask again about these answers.

    The control takes from each query as many uncited values as were cited, of the most similar lengths; all of them where
    there are fewer. The changed tasks have no folder, so that no recorded answer can be taken for a new one.

    Raises:
        DistillerError: no explanation cites a value and leaves another.
    """
    reasons = cited(task, answers)
    by_query: dict[int, list[str]] = {}
    for query, attribute in zip(reasons["query_id"].to_pylist(), reasons["attribute"].to_pylist(), strict=True):
        by_query.setdefault(query, []).append(attribute)
    contents = Contents(task.records.queries, np.array(list(by_query), dtype=np.int64), "queries")
    removed: list[dict[str, object]] = []
    asked = []
    for query, attributes in by_query.items():
        values = contents.text(query)
        others = {name: value for name, value in values.items() if name not in attributes}
        if not others:
            continue
        asked.append(query)
        taken = {False: attributes, True: _as_long([values[name] for name in attributes], others)}
        removed += [
            {"query_id": query, "attribute": name, "value": values[name], "control": control}
            for control, names in taken.items()
            for name in names
        ]
    if not asked:
        raise DistillerError(
            f"none of the {len(answers.query_ids)} answers about {task.name} has an explanation that cites a value of its query "
            "and leaves another; ask with elicitation=explain"
        )
    schema = pa.schema(
        [("query_id", pa.int64()), ("attribute", pa.string()), ("value", pa.string()), ("control", pa.bool_())]
    )
    table = pa.Table.from_pylist(removed, schema)
    return Counterfactual(
        np.array(sorted(asked), dtype=np.int64),
        _without(task, table.filter(pc.invert(table["control"]))),
        _without(task, table.filter(table["control"])),
        table,
        everything_cited=len(by_query) - len(asked),
        nothing_cited=int((answers.choice >= 0).sum()) - len(by_query),
    )


def movement(before: AnswerSet, without_cited: AnswerSet, without_others: AnswerSet) -> dict[str, float]:
    """How many answers move when the values cited, or as many others, are taken away.

    An answer moves when another candidate, or "none" instead of one, is chosen; the order in which candidates were shown does
    not matter. Only queries count that all three sets answer readably; their number is `queries`.
    moved_without_cited, moved_without_others: shares in [0, 1]. counterfactual: their difference, in [-1, 1]; above 0 where
    answers hang more on what is cited than on the rest. only_without_cited, only_without_others: numbers of answers that
    one of the two moved and the other did not, for a paired (McNemar) test.
    """
    sets = [before, without_cited, without_others]
    shared = sets[0].query_ids[sets[0].choice >= 0]
    for answers in sets[1:]:
        shared = np.intersect1d(shared, answers.query_ids[answers.choice >= 0])
    if not len(shared):
        raise DistillerError("no query is answered readably before and after; ask the same queries again")
    chosen = [answers.chosen_ids[rows_of(answers.query_ids, shared, "answers")] for answers in sets]
    cited_moves, other_moves = (chosen[0] != after for after in chosen[1:])
    return {
        "queries": float(len(shared)),
        "moved_without_cited": float(cited_moves.mean()),
        "moved_without_others": float(other_moves.mean()),
        "counterfactual": float(cited_moves.mean() - other_moves.mean()),
        "only_without_cited": float((cited_moves & ~other_moves).sum()),
        "only_without_others": float((other_moves & ~cited_moves).sum()),
    }


def _as_long(cited_values: list[str], others: dict[str, str]) -> list[str]:
    """As many of the other attributes as values were cited, each as long as one of these as can be found."""
    left = dict(others)
    taken = []
    for value in sorted(cited_values, key=len, reverse=True)[: len(others)]:
        name = min(left, key=lambda other: abs(len(left[other]) - len(value)))
        del left[name]
        taken.append(name)
    return [name for name in others if name in taken]


def _without(task: Task, removed: pa.Table) -> Task:
    """The task in which these values of the queries are null."""
    queries = task.records.queries
    attributes = removed["attribute"].to_numpy(zero_copy_only=False)
    rows = rows_of(task.records.query_ids, removed["query_id"].to_numpy(), "queries")
    for attribute in dict.fromkeys(attributes.tolist()):
        gone = np.zeros(queries.num_rows, bool)
        gone[rows[attributes == attribute]] = True
        column = queries[attribute]
        emptied = pc.if_else(pa.array(gone), pa.scalar(None, column.type), column)
        queries = queries.set_column(queries.schema.get_field_index(attribute), attribute, emptied)
    records = replace(task.records, queries=queries.combine_chunks(), folder=None)
    return Task(records, task.candidates, task.store, task.threads)
