"""Seconds and peak memory to write synthetic tables to Parquet: python benchmarks/speed/synthetic.py 1000000."""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from distiller.dataset.synthetic import Synthetic
from distiller.records import MATCHES


def main() -> None:
    """Print one line per table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", type=int, nargs="?", default=1_000_000, help="queries, and as many candidates")
    parser.add_argument("--domain", default="mixed", choices=["products", "people", "publications", "mixed"])
    parser.add_argument("--out", type=Path, help="folder for the Parquet files; without it they are thrown away")
    options = parser.parse_args()
    dataset = Synthetic(domain=options.domain, queries=options.records, candidates=options.records)
    with tempfile.TemporaryDirectory() as thrown_away:
        folder = options.out or Path(thrown_away)
        folder.mkdir(parents=True, exist_ok=True)
        parts = {
            "queries": dataset.batches("queries"),
            "candidates": dataset.batches("candidates"),
            "matches": dataset.match_batches(),
        }
        for name, batches in parts.items():
            start, rows, size = time.perf_counter(), 0, 0
            schema = MATCHES if name == "matches" else dataset.schema("queries" if name == "queries" else "candidates")
            with pq.ParquetWriter(folder / f"{name}.parquet", schema) as file:
                for batch in batches:
                    file.write_batch(batch)
                    rows, size = rows + batch.num_rows, size + batch.nbytes
            seconds = time.perf_counter() - start
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{name:10}  {rows:>10,} rows  {size / 2**20:8.1f} MiB  {seconds:7.1f} s  peak memory {peak:6.0f} MiB"
            )


if __name__ == "__main__":
    main()
