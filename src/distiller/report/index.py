"""The page of a sweep: one line per job with a link to its report."""

import os
from collections.abc import Callable
from pathlib import Path

from distiller.config import DistillerError
from distiller.report.markup import Html, table, tag
from distiller.report.page import document
from distiller.report.run import Run, read
from distiller.report.scores import METRICS, chosen, duration


def jobs(folder: Path) -> list[Path]:
    """Folders of finished runs right below a folder, in the order of their numbers, then names."""
    found = [path.parent for path in folder.glob("*/scorecard.json")]
    return sorted(
        found, key=lambda path: (not path.name.isdigit(), int(path.name) if path.name.isdigit() else 0, path.name)
    )


def sweep_report(folder: Path, out: Path, one: Callable[[Run, Path], None]) -> Path:
    """Write `out` with a table of the jobs of the sweep in `folder`, and `one` report into each job's folder.

    Raises:
        DistillerError: there is no finished job.
    """
    found = jobs(folder)
    if not found:
        raise DistillerError(
            f"{folder} holds no finished run and no sweep of such; name a folder with a scorecard.json"
        )
    rows = []
    words: list[list[str]] = []
    runs = [read(path) for path in found]
    for path, run in zip(found, runs, strict=True):
        one(run, path / "report.html")
        words.append(run.words)
    common = {word for word in words[0] if all(word in each for each in words)} if words else set()
    for path, run in zip(found, runs, strict=True):
        link = tag("a", path.name, href=os.path.relpath(path / "report.html", out.parent))
        differs = " ".join(word for word in run.words if word not in common) or chosen(run, "student")
        forms = run.card["mean"].get("student", {})
        final = forms.get("one_to_one", forms.get("plain", {}))
        seconds = sum(sum(d["seconds"].values()) for d in run.card["datasets"].values())
        rows.append(
            [link, tag("code", differs), *(f"{final[m]:.3f}" if m in final else "" for m in METRICS), duration(seconds)]
        )
    failed = sorted(path.parent.name for path in folder.glob("*/failure.json") if path.parent not in found)
    told: list[Html] = [
        tag(
            "p",
            f"{len(found)} finished jobs; scores are those of the student's final answers, means over datasets.",
            class_="lead",
        )
    ]
    if common:
        told.append(tag("p", "All with ", tag("code", " ".join(w for w in words[0] if w in common)), class_="note"))
    if failed:
        told.append(tag("p", f"Failed, so without a line: {', '.join(failed)}.", class_="note"))
    board = table(["job", "settings", *METRICS.values(), "seconds"], rows, 2, "scores")
    out.parent.mkdir(parents=True, exist_ok=True)
    lead = Html(tag("h1", f"Sweep {folder.resolve().name}") + "".join(told))
    out.write_text(document(f"DistillER sweep: {folder.resolve().name}", lead, [("Jobs", board)]), encoding="utf-8")
    return out
