"""Ours beside the paper's: scores of runs, the published figure of the same metric on the same queries, and the difference.

    python benchmarks/compare.py outputs/ [--metric pair_f1] [--methods NAME ...] [--list]

`paper.csv` holds the figures of the DistillER paper (arXiv 2602.05452) by table, method, dataset and metric; `published_as` is
"F1" where the number itself stands in a table of the paper or its supplement under that name, and empty where it was computed
from the logs in the authors' repository by the definition of our metric. What the paper calls F1 is not one metric:

    table                                       F1 there means                       here
    teachers, zero-shot, SFT, DPO, GRPO         right answers, "none" included       selection_accuracy
    encoder students, disambiguated, hybrids    F1 over candidate pairs              pair_f1
    state of the art, but for the next two      F1 over candidate pairs              pair_f1
    ZeroER                                      the same on other candidate sets     pair_f1_other_candidates
    ComEM                                       without the queries it filtered      selection_f1_of_answered
    UMC baseline                                recall over all queries              recall_over_all_queries_f1

So figures are compared under one metric only, and a method that has none of it is refused with the reason. Compared are runs that
were scored on the paper's queries: protocol=paper with selector=recorded, teachers on its training part, students on the rest.
"""

import argparse
import csv
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from distiller.board.boards import CODES, choice, named
from distiller.board.runs import METRICS, Entry, entries, read
from distiller.config import DistillerError

FIGURES = Path(__file__).with_name("paper.csv")
SPLIT = {"teacher": "train", "student": "test"}
#: Queries scored by split in the paper, D2 to D9.
QUERIES = {
    "train": (104, 134, 226, 381, 352, 492, 247, 245),
    "test": (943, 1212, 2043, 3438, 3177, 4434, 2228, 2211),
}
Figures = dict[str, dict[str, dict[str, float]]]


def figures(split: str, file: Path = FIGURES) -> Figures:
    """Published figures of one split: method -> metric -> dataset (`mean` included) -> value."""
    found: Figures = defaultdict(lambda: defaultdict(dict))
    with open(file, newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            if row["split"] == split:
                found[row["method"]][row["metric"]][row["dataset"]] = float(row["value"])
    return found


def published_metric(method: str, file: Path = FIGURES) -> str:
    """The metric that the paper's tables call F1 for this method."""
    with open(file, newline="", encoding="utf-8") as lines:
        return next((r["metric"] for r in csv.DictReader(lines) if r["method"] == method and r["published_as"]), "")


def refusal(method: str, metric: str, there: Figures) -> str:
    """Why a method's figures are not compared under a metric, in one sentence."""
    own = published_metric(method)
    return (
        f"{method} is not compared by {metric}: its F1 in the paper is {own}, and a difference across metrics says nothing; "
        f"it has {', '.join(sorted(there[method]))}, choose with --metric"
    )


def on_papers_queries(entry: Entry) -> str:
    """Why an entry's scores are about other queries than the paper's, or nothing."""
    if choice(entry.recipe.get("protocol")) != "paper" or choice(entry.recipe.get("selector")) != "recorded":
        return "was not scored on the paper's queries; set protocol=paper selector=recorded"
    if entry.recipe["selector"].get("name") != "blocking_max":
        return f"was scored on the queries of {entry.recipe['selector'].get('name')}; the paper's are selector.name=blocking_max"
    sizes = dict(zip(CODES, QUERIES[SPLIT[entry.source]], strict=True))
    for name in entry.scored:
        if name not in sizes:
            return f"was scored on {name}, which the paper does not have"
        found = entry.first.card["datasets"][name][entry.source][entry.form].get("queries")
        if found != sizes[name]:
            return f"was scored on {found} queries of {name}, the paper on {sizes[name]}; set blocker=recorded"
    return ""


def block(name: str, entry: Entry, method: str, metric: str, theirs: dict[str, float]) -> list[str]:
    """Lines of one comparison: ours (mean over seeds), theirs, difference."""
    datasets = [d for d in CODES if d in entry.scored and d in theirs]
    if not datasets:
        return []
    ours = {d: float(np.mean([entry.score(metric, d, s) for s in entry.runs])) for d in datasets}
    over = {d: theirs[d] for d in datasets}
    lines = [
        ("ours: " + name, ours, ""),
        ("theirs: " + method, over, ""),
        ("difference", {d: ours[d] - over[d] for d in ours}, "+"),
    ]
    text = []
    for label, values, sign in lines:
        cells = "".join(f"{values[d]:{sign}.4f}".rjust(9) if d in values else "-".rjust(9) for d in CODES)
        text.append(f"{label[:58]:58}{cells}{np.mean(list(values.values())):{sign}9.4f}")
    return text


def main() -> None:
    """Print a block of three lines for every run and method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("roots", nargs="*", type=Path, help="folders that runs lie below")
    parser.add_argument("--metric", default="pair_f1", help=f"one of {', '.join(METRICS)}")
    parser.add_argument(
        "--methods", nargs="+", metavar="NAME", help="the paper's methods; the best and the encoders unless told"
    )
    parser.add_argument("--forms", default="final", choices=["final", "plain", "one_to_one"])
    parser.add_argument("--list", action="store_true", help="list the paper's methods with the metrics known of them")
    options = parser.parse_args()
    known = {source: figures(split) for source, split in SPLIT.items()}
    if options.list:
        for source, there in known.items():
            for method, by_metric in sorted(there.items()):
                print(
                    f"{source:8} {method:58} F1 of the paper: {published_metric(method):26} known: {', '.join(by_metric)}"
                )
        return
    if not options.roots:
        parser.error("name a folder of runs, such as outputs")
    if options.metric.lower() in ("f1", "selection_f1"):
        raise SystemExit(
            f"--metric {options.metric}: the paper calls two metrics F1; say selection_accuracy (language models) or pair_f1 "
            "(encoders)"
        )
    if options.metric not in METRICS:
        raise SystemExit(f"--metric {options.metric}: there is no such metric; known: {', '.join(METRICS)}")
    runs, left_out = read(options.roots)
    found, remarks = entries(runs, options.forms)
    found = [e for e in found if not e.published]
    refused = [*left_out, *remarks]
    shown = 0
    head = f"{METRICS[options.metric]:58}" + "".join(f"{code:>9}" for code in CODES.values()) + f"{'mean':>9}"
    print(head)
    for source, there in known.items():
        own = [e for e in found if e.source == source]
        names = dict(zip(map(id, own), named(own)[0], strict=True))
        wanted = options.methods or DEFAULT[source]
        for method in wanted:
            if method not in there:
                if not any(method in other for other in known.values()):
                    raise SystemExit(f"--methods {method}: the paper has no such method; see --list")
                continue
            if options.metric not in there[method]:
                refused.append(refusal(method, options.metric, there))
                continue
            for entry in own:
                reason = on_papers_queries(entry)
                if reason:
                    refused.append(f"{names[id(entry)]} ({entry.first.folder}) {reason}")
                elif any(entry.score(options.metric, d, s) is None for d in entry.scored for s in entry.runs):
                    refused.append(f"{names[id(entry)]} has no {options.metric}")
                else:
                    lines = block(names[id(entry)], entry, method, options.metric, there[method][options.metric])
                    print("\n".join([*lines, ""]))
                    shown += bool(lines)
    for reason in dict.fromkeys(refused):
        print(f"not compared: {reason}")
    print(f"{shown} comparisons")
    if options.methods and not shown:
        raise SystemExit(1)


DEFAULT = {
    "teacher": ["qwen2.5-32b"],
    "student": ["sft-llm__qwen2.5-32b", "sft-slm-roberta__qwen2.5-32b", "sft-slm-sminilm__qwen2.5-32b"],
}


if __name__ == "__main__":
    try:
        main()
    except DistillerError as error:
        sys.exit(f"error: {error}")
