"""Rows between us and Ray Data's vLLM stage: what goes in, what comes back, and a source that waits for more."""

import json
from collections.abc import Iterator
from typing import Any


def call_source(batches: Any) -> Any:
    """A datasource whose only task gives out the batches of a queue until it finds None there."""
    import pyarrow as pa
    from ray.data import Datasource, ReadTask
    from ray.data.block import BlockMetadata

    def read() -> Iterator[pa.Table]:
        while (batch := batches.get()) is not None:
            yield pa.Table.from_pylist(batch)

    class CallSource(Datasource):
        def estimate_inmemory_data_size(self) -> int | None:
            return None

        def get_read_tasks(self, parallelism: int, *limits: Any, **more: Any) -> list[Any]:
            return [ReadTask(read, BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None))]

    return CallSource()


class Whole:
    """Fits into no column of a table, so that Ray carries each row as the Python object it is.

    In a column of structures, parameters that a row lacks would become nulls, which vLLM refuses.
    """


WHOLE = Whole()


def call_of(row: dict[str, Any], adapter: str | None) -> dict[str, Any]:
    """What Ray's vLLM stage wants to know of a row."""
    tokens, sampling = json.loads(row["call"])
    wanted = {"row": row["row"], "tokenized_prompt": tokens, "sampling_params": sampling, "whole": WHOLE}
    return {**wanted, "model": adapter} if adapter else wanted


def answer_of(row: dict[str, Any]) -> dict[str, Any]:
    """What is needed of a row that Ray's vLLM stage gives back."""
    tokens, scores = row["generated_tokens"], {}
    if row["logprobs"] is not None and len(row["logprobs"]):
        scores = {
            str(token): entry["logprob"] for token, entry in dict(row["logprobs"][0]).items() if entry is not None
        }
    last = int(tokens[-1]) if len(tokens) else -1
    return {
        "row": row["row"],
        "text": row["generated_text"],
        "last": last,
        "written": len(tokens),
        "scores": json.dumps(scores),
    }
