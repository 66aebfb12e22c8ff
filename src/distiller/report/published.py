"""The paper's figures beside a run's own, where the file with them is at hand."""

import csv
from collections import defaultdict
from pathlib import Path
from typing import Any

from distiller.report.run import Run
from distiller.report.scores import Published

#: The paper's methods worth a line, by the teacher they learnt from.
METHODS = {
    "zero-shot__{}": "{}, asked about every query (paper)",
    "sft-llm__{}": "8B student of {} (paper)",
    "sft-slm-roberta__{}": "RoBERTa student of {} (paper)",
}
TEACHER = "qwen2.5-32b"


def published(run: Run, paper: Path) -> list[Published]:
    """The paper's figures for the datasets of a run: methods of its teacher if the paper has it, else of Qwen-2.5-32B.

    paper: the file of the source tree, `benchmarks/paper.csv`; without it there are none.
    """
    if not paper.is_file():
        return []
    figures: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    with open(paper, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["split"] == "test" and row["value"]:
                figures[row["method"]][row["dataset"]][row["metric"]] = float(row["value"])
    named = str(run.config.get("teacher", {}).get("name"))
    teacher = named if f"sft-llm__{named}" in figures else TEACHER
    datasets = set(run.parts)
    found = []
    for pattern, label in METHODS.items():
        own = figures.get(pattern.format(teacher), {})
        wanted = {name: own[name] for name in [*run.parts, "mean"] if name in own}
        if datasets != own.keys() - {"mean"}:
            wanted.pop("mean", None)
        if wanted:
            found.append(Published(label.format(teacher), wanted))
    return found


def same_queries(run: Run) -> bool:
    """Whether a run's training and test queries and candidates are the paper's."""

    def is_recorded(group: str, **fields: Any) -> bool:
        part = run.config.get(group) or {}
        return str(part.get("_target_", "")).endswith("recorded.Recorded") and fields.items() <= part.items()

    paper = str(run.config["protocol"]["_target_"]).endswith("paper.Paper")
    return paper and is_recorded("blocker") and is_recorded("selector", name="blocking_max")
