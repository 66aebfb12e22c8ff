"""A small matching task that a tiny language model learns from scratch, with the right answers as teacher."""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from engine.tiny_model import tiny_checkpoint

from distiller.artifacts import AnswerSet, CandidateSet
from distiller.elicitation.label import Label
from distiller.records import checked
from distiller.store import Store
from distiller.student.language import Language
from distiller.task import Task

_SCRATCH = tempfile.TemporaryDirectory(prefix="school-")  # removed at exit
WORDS = ["amber", "basil", "cedar", "delta", "ember", "fjord", "glade", "heath", "ivory", "jolly", "karst", "lemon"]
ASK = Label(serialization="plain", reply="score", prompt_tokens=512)


def fresh() -> Path:
    """A new empty folder."""
    return Path(tempfile.mkdtemp(dir=_SCRATCH.name))


def task(queries: int = 400, candidates: int = 3, none: float = 0.4, seed: int = 0) -> tuple[Task, AnswerSet]:
    """Queries of one word; the match, which a share of the queries lacks, has the same word and is called genuine."""
    draw = np.random.default_rng(seed)
    asked, listed, rows, choices = [], [], [], []
    for query in range(queries):
        words = draw.permutation(WORDS)[: candidates + 1].tolist()
        right = 0 if draw.random() < none else int(draw.integers(1, candidates + 1))
        asked.append(words[right - 1] if right else words[candidates])
        choices.append(right)
        for place, word in enumerate(words[:candidates]):
            listed.append(f"{word} genuine" if place + 1 == right else f"{word} copy")
            rows.append({"query_id": query, "candidate_id": len(listed) - 1, "similarity": 0.5, "position": place + 1})
    tables = [pa.table({"id": pa.array(range(len(names)), pa.int64()), "name": names}) for names in (asked, listed)]
    kept = CandidateSet(
        pa.Table.from_pylist(rows, schema=CandidateSet.SCHEMA), key=f"toy-{queries}-{candidates}-{seed}"
    )
    made = Task(checked("toy", *tables, None), kept, Store(root=fresh()), 1)
    ids = np.arange(queries)
    return made, AnswerSet.make("gold", ids, kept.candidate_ids, np.arange(queries + 1) * candidates, np.array(choices))


def checkpoint(hidden: int = 64, layers: int = 2, seed: int = 0, **shape) -> Path:
    """A tiny Llama with random weights whose tokenizer knows the words of the task as they stand in prompts."""
    prompts = ASK.prompts(task(20)[0], np.arange(20))
    texts = [prompt.request.messages[-1][1] for prompt in prompts] + [*WORDS, "genuine", "copy"] * 5
    size = {"hidden": hidden, "layers": layers, "vocabulary": 1024, **shape}
    return tiny_checkpoint(fresh() / "tiny", texts=texts, seed=seed, spread=0.02, **size)


def student(model: Path, **fields) -> Language:
    """A student for the processor, all of whose weights are trained unless told otherwise."""
    plain = {
        "rank": 0,
        "dtype": "float32",
        "gradient_checkpointing": False,
        "batch_tokens": 1024,
        "learning_rate": 3e-3,
    }
    return Language(**{"model": str(model), "elicitation": ASK, **plain, **fields})
