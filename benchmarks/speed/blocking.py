"""Speed and recall of n-gram blocking, against scikit-learn's brute-force neighbours in the same run.

    DISTILLER_DATA=<folder> python benchmarks/speed/blocking.py [--threads 2] [--size 10000] [--no-baseline]

"floor" is the share of the search time that merely reading the operands would take: a product adds one number per
n-gram that a query and a candidate have in common, each with a weight (8 bytes) and a row number (4 bytes), at the
bandwidth measured at the start. A mutual search does the product twice.
"baseline" is TfidfVectorizer plus NearestNeighbors(metric="cosine", algorithm="brute") in both directions; "times" is
how many times longer that takes.
"""

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import NearestNeighbors

from distiller import metrics
from distiller.blocker.grams import tfidf
from distiller.blocker.tfidf import Tfidf, top
from distiller.dataset.benchmark import Benchmark
from distiller.dataset.synthetic import Synthetic
from distiller.records import Records

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
BYTES = 12  # of one entry: a double and a 32-bit row number


def bandwidth() -> float:
    """Bytes per second that numpy reads from memory, best of three."""
    block = np.ones(2**25)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        block.sum()
        seconds.append(time.perf_counter() - start)
    return block.nbytes / min(seconds)


def datasets(size: int) -> Iterator[tuple[Records, list[str] | None]]:
    """Each dataset with the attributes to block by: all, or the names alone."""
    root = os.environ.get("DISTILLER_DATA")
    for name in NAMES if root else []:
        yield Benchmark(name=name, root=Path(root or "")).load(), None
    yield Synthetic(name=f"names {size}", queries=size, candidates=size, domain="products").load(), ["name", "title"]


def baseline(blocker: Tfidf, records: Records) -> float:
    """Seconds of the same work by scikit-learn."""
    start = time.perf_counter()
    queries, candidates = (texts.to_pylist() for texts in blocker.texts(records))
    matrix = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4), sublinear_tf=True).fit_transform(
        queries + candidates
    )
    sides = matrix[: len(queries)], matrix[len(queries) :]
    for asked, searched in (sides, sides[::-1]):
        NearestNeighbors(n_neighbors=blocker.k, metric="cosine", algorithm="brute").fit(searched).kneighbors(asked)
    return time.perf_counter() - start


def main() -> None:
    """Print one line per dataset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", type=int, default=10_000, help="records per side of the synthetic names")
    parser.add_argument("--no-baseline", action="store_true")
    options = parser.parse_args()
    speed = bandwidth()
    print(f"{options.threads} threads, {speed / 1e9:.1f} GB/s read by one of them")
    columns = ["queries", "candidates", "pairs", "recall", "vectors s", "search s", "all s", "G adds/s", "floor"]
    print(
        f"{'dataset':16}", *(f"{c:>10}" for c in [*columns, *([] if options.no_baseline else ["baseline s", "times"])])
    )
    for records, attributes in datasets(options.size):
        blocker = Tfidf(attributes=attributes)
        start = time.perf_counter()
        found = blocker.block(records, options.threads)
        whole = time.perf_counter() - start
        start = time.perf_counter()
        a, b = tfidf(*blocker.texts(records), (blocker.shortest, blocker.longest), options.threads)
        vectors = time.perf_counter() - start
        start = time.perf_counter()
        for asked, searched in ((a, b), (b, a)):
            top(asked, searched, blocker.k, options.threads, blocker.chunk)
        search = time.perf_counter() - start
        width = a.shape[1]
        adds = 2 * float(np.bincount(a.indices, minlength=width) @ np.bincount(b.indices, minlength=width))
        facts = metrics.blocking(found, records.matches)
        cells = [f"{a.shape[0]:,}", f"{b.shape[0]:,}", f"{facts['pairs']:,}", f"{facts['recall']:.3f}"]
        cells += [f"{vectors:.2f}", f"{search:.2f}", f"{whole:.2f}", f"{adds / search / 1e9:.2f}"]
        cells += [f"{adds * BYTES / (speed * options.threads) / search:.0%}"]
        if not options.no_baseline:
            naive = baseline(blocker, records)
            cells += [f"{naive:.1f}", f"{naive / whole:.1f}"]
        print(f"{records.name:16}", *(f"{cell:>10}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
