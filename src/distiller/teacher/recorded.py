"""Answers that a language model once gave, replayed."""

import gzip
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from distiller.artifacts import AnswerSet, Parse
from distiller.config import DistillerError, component, nearest
from distiller.elicitation.base import Reading
from distiller.elicitation.replies import read_object
from distiller.task import Task
from distiller.teacher.base import Teacher
from distiller.teacher.justifications import recorded_justifications

#: How the annotation files say a number was read -> how we say it. A number beyond the list is no answer.
READ = {"ok": Parse.EXACT, "recovered": Parse.RECOVERED}


@component
class Recorded(Teacher):
    """The answers of a teacher by the name of its annotation file.

    A reply without a number, or with a number beyond the list, is a failed parse: counted wrong, never learnt from.
    missing: what to do about queries without a recorded answer: `error` names their number, `skip` leaves them out.
    reading: where the number comes from: `file` takes it as the file says it was read, which is how the paper's figures
      came about; `text` reads the recorded reply anew, by the rules for replies of today (see `elicitation.replies`).
    reasons: which rationales come with the answers: the `explanations` given with them, or the `justifications` that the
      teacher wrote for every option when it was told that this was the answer; that of its answer is then its rationale,
      as in the paper. A query for which none were recorded has none.
    """

    name: str
    missing: Literal["error", "skip"] = "error"
    reading: Literal["file", "text"] = "file"
    reasons: Literal["explanations", "justifications"] = "explanations"

    def label(self) -> str:
        return self.name

    def reads(self, folder: Path | None) -> list[Path]:
        if folder is None:
            raise DistillerError(
                "teacher=recorded needs a dataset that comes with recorded answers, such as dataset=abt-buy; "
                "choose another dataset or another teacher, such as teacher=zeroer"
            )
        path = folder / "annotations" / f"{self.name}.jsonl.gz"
        if not path.is_file():
            known = sorted(p.name.removesuffix(".jsonl.gz") for p in path.parent.glob("*.jsonl.gz"))
            raise DistillerError(
                f"{folder.name} has no recorded answers of teacher.name={self.name}{nearest(self.name, known)}"
            )
        if self.reasons == "explanations":
            return [path]
        recorded_justifications(folder, self.name)
        return [path, folder / "justifications" / path.name]

    def annotate(self, task: Task, query_ids: np.ndarray, gold: pa.Table | None = None) -> AnswerSet:
        path, *more = self.reads(task.records.folder)
        recorded = {record["query_id"]: record for record in _records(path)}
        absent = [q for q in query_ids.tolist() if q not in recorded]
        if absent and self.missing == "error":
            raise DistillerError(
                f"{self.name} has no recorded answer to {len(absent)} of the {len(query_ids)} queries asked of {task.name}, "
                f"the first is {absent[0]}; set teacher.missing=skip to go on without them, or selector=recorded"
            )
        asked = [recorded[q] for q in query_ids.tolist() if q in recorded]
        if not asked:
            raise DistillerError(f"{self.name} has no recorded answer to any of the queries asked of {task.name}")
        ids = np.array([r["query_id"] for r in asked], dtype=np.int64)
        options = [r["options"] for r in asked]
        _check_same_candidates(task, ids, options)
        readings = [(as_filed if self.reading == "file" else read_anew)(record) for record in asked]
        return AnswerSet.make(
            self.label(),
            ids,
            np.concatenate([np.asarray(o, dtype=np.int64) for o in options]),
            np.r_[0, np.cumsum([len(o) for o in options])],
            np.array([reading.choice for reading in readings]),
            seconds=np.array([r["seconds"] or 0.0 for r in asked]),
            parse=[reading.parse.value for reading in readings],
            **_reasons(asked, readings, recorded_justifications(more[0].parents[1], self.name) if more else None),
            text=[r["answer_raw"] for r in asked],
        )


def _reasons(
    asked: list[dict[str, Any]], readings: list[Reading], justified: dict[int, list[str | None]] | None
) -> dict[str, Any]:
    """The columns `rationale` and `justifications` of the answers."""
    if justified is None:
        return {"rationale": [reading.rationale for reading in readings]}
    texts = [justified.get(record["query_id"]) for record in asked]
    own = [
        text[reading.choice] if text and reading.choice >= 0 else None
        for text, reading in zip(texts, readings, strict=True)
    ]
    return {"rationale": own, "justifications": pa.array(texts, pa.list_(pa.string()))}


def as_filed(record: dict[str, Any]) -> Reading:
    """What a recorded reply says according to its file."""
    parse = READ.get(record["read"], Parse.FAILED)
    choice = -1 if parse is Parse.FAILED else record["answer"]
    return Reading(choice, parse, record["explanation"])


def read_anew(record: dict[str, Any]) -> Reading:
    """What a recorded reply says according to our own rules.

    Where the reply was the JSON asked for, the file has kept its two fields, which are put together again.
    """
    text, explanation = record["answer_raw"], record["explanation"]
    if text is not None and explanation is not None and '"answer"' not in text:
        text = json.dumps({"answer": text, "explanation": explanation})
    return read_object(text, len(record["options"]), ("answer", "explanation"))


def _records(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        try:
            return [json.loads(line) for line in lines]
        except (OSError, EOFError, ValueError) as error:
            raise DistillerError(f"{path} is not a readable annotation file ({error}); fetch it again") from error


def _check_same_candidates(task: Task, ids: np.ndarray, options: list[list[int]]) -> None:
    """An answer holds only for the list it was given about."""
    rows, offsets = task.candidates.of(ids)
    shown = task.candidates.candidate_ids[rows]
    other = [
        query
        for query, own, begin, end in zip(ids.tolist(), options, offsets[:-1], offsets[1:], strict=True)
        if sorted(own) != sorted(shown[begin:end].tolist())
    ]
    if other:
        raise DistillerError(
            f"the recorded answers of {task.name} were given about other candidates for {len(other)} of {len(ids)} queries; "
            "set blocker=recorded"
        )
