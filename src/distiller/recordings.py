"""Recorded answers of a language model as replies to our own prompts, so that a run finds them in the reply cache."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from distiller.config import DistillerError
from distiller.elicitation.base import Prompt
from distiller.engine.base import Reply, Request

#: Fields that make a line of JSON an annotation.
FIELDS = {"query_id", "options", "answer_raw", "read", "explanation", "seconds"}


def open_text(path: Path) -> Any:
    """A text file, or a gzipped one whose name ends in .gz, for reading."""
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8")


def is_annotation(line: str) -> bool:
    """Whether a line is a recorded answer (not an entry of a reply cache)."""
    try:
        return set(json.loads(line)) >= FIELDS
    except (ValueError, TypeError):
        return False


def annotations(path: Path, lines: Iterable[str]) -> dict[int, dict[str, Any]]:
    """Recorded answers by query id.

    Raises:
        DistillerError: a line is no annotation; it names the file and the line.
    """
    found = {}
    for number, line in enumerate(lines, 1):
        if not is_annotation(line):
            raise DistillerError(
                f"{path}, line {number} is no recorded answer with the fields {', '.join(sorted(FIELDS))}"
            )
        record = json.loads(line)
        found[record["query_id"]] = record
    return found


def replies(recorded: dict[int, dict[str, Any]], prompts: Iterable[Prompt]) -> list[tuple[Request, Reply]]:
    """Recorded answers as replies to our prompts; prompts about queries without a record are left out.

    A recorded reply answers a prompt of other words: whoever imports it says that the words do not matter. The order of the
    candidates does, since the reply names them by number, so it must be the same. Tokens were not recorded and count as 0.

    Raises:
        DistillerError: a record is about other candidates, or has them in another order.
    """
    pairs = []
    for prompt in prompts:
        record = recorded.get(prompt.query_id)
        if record is None or prompt.about is not None:
            continue
        if tuple(record["options"]) != prompt.options:
            what = "order" if sorted(record["options"]) == sorted(prompt.options) else "candidates"
            raise DistillerError(
                f"the recorded answer to query {prompt.query_id} is about another {what} than the prompt shows; set "
                "blocker=recorded and teacher.elicitation.order=reference"
            )
        text = record["answer_raw"]
        if text is not None and record["read"] != "recovered" and record["explanation"] is not None:
            # Of a well-formed reply the recording keeps the two fields, of others the whole text.
            text = json.dumps({"answer": text, "explanation": record["explanation"]})
        if text is not None:
            pairs.append((prompt.request, Reply(text=text, seconds=float(record["seconds"] or 0.0))))
    return pairs


def asked(recorded: dict[int, dict[str, Any]], query_ids: np.ndarray) -> np.ndarray:
    """Which of these queries are recorded, ascending."""
    return query_ids[np.isin(query_ids, np.fromiter(recorded, dtype=np.int64, count=len(recorded)))]
