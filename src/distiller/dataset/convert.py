"""The authors' files of one dataset, rewritten in the layout that `Benchmark` reads."""

import csv
import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np

from distiller.dataset.replies import read_reply

VERSION = 1  # raised when the same files are converted to something else
SEED = 1924  # of the authors' shuffling of candidates
SPLIT = "blocking_max"  # the selection all teachers and students of the paper were run on


class Source(NamedTuple):
    """Where a dataset lies in the authors' repository: its code and the tables of queries and of candidates."""

    code: str
    queries: str
    candidates: str


SOURCES = {
    "abt-buy": Source("D2", "buy", "abt"),
    "amazon-google": Source("D3", "amazon", "gp"),
    "dblp-acm": Source("D4", "acm", "dblp"),
    "imdb-tmdb": Source("D5", "imdb", "tmdb"),
    "imdb-tvdb": Source("D6", "imdb", "tvdb"),
    "tmdb-tvdb": Source("D7", "tvdb", "tmdb"),
    "walmart-amazon": Source("D8", "walmart", "amazon"),
    "dblp-scholar": Source("D9", "dblp", "scholar"),
}
STRATEGIES = ("blocking_max", "blocking_top2", "clustering_hierarchical", "clustering_kmeans", "random", "sampled")
# name: folder of the replies to training queries, folder of the replies to test queries
TEACHERS: dict[str, tuple[str, str | None]] = {
    "llama3.1-8b": ("llama_8", "llama3.1:8b"),
    "llama3.1-70b": ("llama_70", None),
    "qwen2.5-32b": ("qwen_32", "qwen2.5:32b"),
}


@dataclass(frozen=True)
class Paths:
    """Paths of one dataset's files in the authors' repository."""

    source: Source

    @property
    def queries(self) -> str:
        return self._table(self.source.queries)

    @property
    def candidates(self) -> str:
        return self._table(self.source.candidates)

    @property
    def matches(self) -> str:
        return self._table("gt")

    @property
    def train_candidates(self) -> str:
        return f"log/matching/annotate/llm/ground/partial/{self.source.code}_1924.json"

    @property
    def test_candidates(self) -> str:
        return f"log/matching/sft/slm/roberta/ground/log/{self.source.code}_predictions.csv"

    def selected(self, strategy: str) -> str:
        """Queries that a strategy selected for training."""
        return f"log/matching/data_selection/{strategy}/llama_8/partial/{self.source.code}_1924.json"

    def replies(self, teacher: str) -> list[str]:
        """Recorded replies of a teacher."""
        train, test = TEACHERS[teacher]
        found = [f"log/matching/annotate/llm/{train}/partial_responses/{self.source.code}_1924_responses.json"]
        if test is not None:
            found.append(f"log/matching/baselines/pretrained/{test}/{self.source.code}_responses.json")
        return found

    def all(self) -> list[str]:
        """Every file that `convert` reads."""
        tables = [self.queries, self.candidates, self.matches, self.train_candidates, self.test_candidates]
        selected = [self.selected(strategy) for strategy in STRATEGIES]
        return tables + selected + [path for teacher in TEACHERS for path in self.replies(teacher)]

    def _table(self, name: str) -> str:
        return f"data/ccer/cleaned/original/{self.source.code}/{name}.csv"


def convert(name: str, files: Mapping[str, Path], folder: Path) -> None:
    """Write dataset `name` into `folder`, which must exist; `files` finds the authors' files by their paths."""
    source = SOURCES[name]
    paths = Paths(source)
    left, right = _records(files[paths.queries]), _records(files[paths.candidates])
    matches = sorted((int(query), int(candidate)) for query, candidate in _rows(files[paths.matches])[1:])
    options = _options(files[paths.train_candidates], files[paths.test_candidates])
    _write(folder / "left.csv.gz", left)
    _write(folder / "right.csv.gz", right)
    _write(folder / "matches.csv", [["left_id", "right_id"], *matches])
    scores = similarities(left, right, options)
    pairs = [(query, candidate, i) for query, shown in options.items() for i, candidate in enumerate(shown, 1)]
    scored = [[*pair, f"{score:.4f}"] for pair, score in zip(pairs, scores, strict=True)]
    _write(folder / "candidates.csv.gz", [["left_id", "right_id", "position", "score"], *scored])

    gold = dict(matches)
    found = {query for query, shown in options.items() if gold.get(query) in shown}
    splits: dict[str, dict[str, float]] = {}
    (folder / "splits").mkdir()
    for strategy in STRATEGIES:
        train = {prompt["query_id"] for prompt in _json(files[paths.selected(strategy)])["prompts"]}
        parts = [[query, "train" if query in train else "test"] for query in options]
        _write(folder / "splits" / f"{strategy}.csv", [["query_id", "part"], *parts])
        share = round(len(train & found) / len(train), 4)
        splits[strategy] = {"train": len(train), "test": len(options) - len(train), "train_share_with_match": share}

    (folder / "annotations").mkdir()
    for teacher in TEACHERS:
        with _compressed(folder / "annotations" / f"{teacher}.jsonl.gz") as out:
            for annotation in _annotations([files[path] for path in paths.replies(teacher)], options):
                out.write(json.dumps(annotation, ensure_ascii=False) + "\n")

    described = {
        "code": source.code,
        "name": name,
        "left_source": source.queries,
        "right_source": source.candidates,
        "left_rows": len(left) - 1,
        "right_rows": len(right) - 1,
        "left_columns": left[0][1:],
        "right_columns": right[0][1:],
        "matches": len(matches),
        "queries": len(options),
        "candidate_pairs": len(pairs),
        "candidate_recall": round(len(found) / len(matches), 4),
        "queries_with_a_match_among_candidates": len(found),
        "splits": splits,
    }
    (folder / "dataset.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")


def similarities(left: list[list[str]], right: list[list[str]], options: Mapping[int, list[int]]) -> np.ndarray:
    """Cosine of TF-IDF vectors of each query and each of its candidates, in [0, 1], [n_pairs].

    Vectors count the character 3- and 4-grams within the words of all attribute values, with sublinear term
    frequency and the vocabulary of both tables, whose first rows are headers and first columns ids.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [" ".join(row[1:]) for row in left[1:] + right[1:]]
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4), sublinear_tf=True).fit_transform(texts)
    query_rows = {int(row[0]): i for i, row in enumerate(left[1:])}
    candidate_rows = {int(row[0]): i for i, row in enumerate(right[1:], len(left) - 1)}
    queries = [query_rows[query] for query, shown in options.items() for _ in shown]
    candidates = [candidate_rows[candidate] for shown in options.values() for candidate in shown]
    return np.asarray(vectors[queries].multiply(vectors[candidates]).sum(axis=1)).ravel()


def shown_order(n_candidates: int) -> np.ndarray:
    """Where the candidates of a query, ascending by id, stood when they were shown, [n_candidates]."""
    return np.random.RandomState(SEED).permutation(n_candidates)


def _records(path: Path) -> list[list[str]]:
    """Header and rows of a table; of attributes named by web addresses the last part is kept."""
    header, *rows = _rows(path)
    return [["id", *(name.rpartition("/")[2] for name in header[1:])], *rows]


def _options(train: Path, test: Path) -> dict[int, list[int]]:
    """Candidates of every query in the order they were shown, by ascending query.

    The order of test candidates was not recorded for every dataset, but the rule that gives it is known.
    """
    options = {prompt["query_id"]: prompt["options"] for prompt in _json(train)["prompts"]}
    header, *rows = _rows(test)
    query, candidate = header.index("left_ID"), header.index("right_ID")
    unordered: dict[int, list[int]] = {}
    for row in rows:
        unordered.setdefault(int(row[query]), []).append(int(row[candidate]))
    for key, found in unordered.items():
        options[key] = [int(i) for i in np.sort(found)[shown_order(len(found))]]
    return dict(sorted(options.items()))


def _annotations(replies: Iterable[Path], options: Mapping[int, list[int]]) -> list[dict[str, Any]]:
    """One record per recorded reply, by ascending query; the first file holds the training queries."""
    annotations = []
    for part, path in zip(("train", "test"), replies, strict=False):
        for reply in _json(path)["responses"]:
            shown = options[reply["query_id"]]
            read = read_reply(reply["answer"], reply["explanation"], len(shown))
            annotations.append(
                {
                    "query_id": reply["query_id"],
                    "options": shown,
                    "answer": read.choice,
                    "right_id": shown[read.choice - 1] if read.choice else None,
                    "answer_raw": reply["answer"],
                    "read": read.read,
                    "explanation": read.explanation,
                    "confidence": reply["confidence"],
                    "seconds": round(reply["time"], 4),
                    "selection": SPLIT,
                    "part": part,
                }
            )
    return sorted(annotations, key=lambda annotation: annotation["query_id"])


def _rows(path: Path) -> list[list[str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _write(path: Path, rows: Iterable[Iterable[object]]) -> None:
    with _compressed(path) if path.suffix == ".gz" else open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _compressed(path: Path) -> TextIO:
    return gzip.open(path, "wt", encoding="utf-8", newline="")
