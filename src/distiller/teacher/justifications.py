"""Justifications that a language model once wrote, for every option of a query."""

import gzip
import json
import zlib
from pathlib import Path

from distiller.config import DistillerError, nearest


def recorded_justifications(folder: Path, name: str) -> dict[int, list[str | None]]:
    """For each recorded query the text about each option, [k + 1], "none" first; None where the model wrote nothing.

    Options are numbered as in the recorded answers and the recorded candidate set of the dataset.

    Raises:
        DistillerError: the folder has no justifications of this teacher, or their file is broken or names an option twice.
    """
    path = folder / "justifications" / f"{name}.jsonl.gz"
    if not path.is_file():
        known = sorted(p.name.removesuffix(".jsonl.gz") for p in path.parent.glob("*.jsonl.gz"))
        raise DistillerError(f"{folder.name} has no recorded justifications of {name}{nearest(name, known)}")
    texts: dict[int, dict[int, str | None]] = {}
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                own = texts.setdefault(record["query_id"], {})
                if record["option"] in own:
                    raise ValueError(f"query {record['query_id']} has option {record['option']} twice")
                own[record["option"]] = record["explanation"] or None
    except (OSError, EOFError, zlib.error, ValueError, KeyError) as error:
        raise DistillerError(f"{path} is not a readable file of justifications ({error}); fetch it again") from error
    return {query: [own.get(option) for option in range(max(own) + 1)] for query, own in texts.items()}
