"""Speed and memory of similarity features on the recorded candidate pairs.

    DISTILLER_DATA=<folder> python benchmarks/speed/features.py [--workers 2] [names of datasets]

Seconds do not count reading the files. "cpu s" is the processor time of all threads, which other load on the machine
moves less than seconds. Peak memory is that of the whole process up to then, reading included.
"""

import argparse
import os
import resource
import sys
import time
from pathlib import Path

from distiller.blocker.recorded import Recorded
from distiller.dataset.benchmark import Benchmark
from distiller.features import similarity_features
from distiller.records import rows_of

NAMES = [
    "abt-buy",
    "amazon-google",
    "dblp-acm",
    "imdb-tmdb",
    "imdb-tvdb",
    "tmdb-tvdb",
    "walmart-amazon",
    "dblp-scholar",
]
ROW = "{:<16}{:>10}{:>10}{:>10}{:>9}{:>9}{:>12}{:>10}"


def peak() -> int:
    """Largest memory of this process so far, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)


def measured(name: str, root: Path, workers: int) -> tuple[int, int, int, float, float]:
    """Queries, pairs, features, seconds and processor seconds of one dataset."""
    records = Benchmark(name=name, root=root).load()
    pairs = Recorded().block(records, threads=workers)
    query_rows = rows_of(records.query_ids, pairs.table["query_id"].to_numpy(), "queries")
    candidate_rows = rows_of(records.candidate_ids, pairs.candidate_ids, "candidates")
    start, cpu = time.perf_counter(), time.process_time()
    names, matrix = similarity_features(records.queries, records.candidates, query_rows, candidate_rows, workers)
    return len(pairs.query_ids), len(matrix), len(names), time.perf_counter() - start, time.process_time() - cpu


def line(name: str, counts: tuple[int, int, int, float, float]) -> str:
    """One row of the table."""
    queries, pairs, features, seconds, cpu = counts
    return ROW.format(
        name, queries, pairs, features, f"{seconds:.2f}", f"{cpu:.2f}", f"{queries / seconds:.0f}", f"{peak()}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="*", default=NAMES)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    root = os.environ.get("DISTILLER_DATA")
    if not root:
        parser.error("DISTILLER_DATA is not set; give it the folder of the benchmark datasets")
    print(ROW.format("dataset", "queries", "pairs", "features", "seconds", "cpu s", "queries/s", "peak MB"))
    rows = []
    for name in given.datasets:
        rows.append(measured(name, Path(root), given.workers))
        print(line(name, rows[-1]), flush=True)
    queries, pairs, features, seconds, cpu = zip(*rows, strict=True)
    print(line("all", (sum(queries), sum(pairs), max(features), sum(seconds), sum(cpu))))


if __name__ == "__main__":
    main()
