"""Reports of finished runs: what the pages say, that they need nothing else, and that text from data stays text."""

import csv
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from command import Commands, card, here, succeeded, tabled

from distiller.config import DistillerError
from distiller.report import run as finished
from distiller.report.page import report
from distiller.report.run import read

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "report.py"
PAYLOAD = "<script>throw 'it ran'</script><img src=x onerror=\"throw 'it ran'\">"
BROWSER = next((b for b in ("chromium", "google-chrome", "chromium-browser") if shutil.which(b)), None)


class Page(HTMLParser):
    """What a page is made of: names of elements, their attributes, and all text outside style and script."""

    def __init__(self, page: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self._open):
            self.text += data


@pytest.fixture(scope="module")
def hostile(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables whose queries are all named with a script."""
    folder = tmp_path_factory.mktemp("hostile")
    shutil.copytree(tables, folder, dirs_exist_ok=True)
    with open(tables / "a.csv", newline="", encoding="utf-8") as file:
        head, *lines = csv.reader(file)
    with open(folder / "a.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *([line[0], f"{PAYLOAD} {line[1]}", *line[2:]] for line in lines)])
    return folder


@pytest.fixture(scope="module")
def with_gold(command: Commands, hostile: Path) -> Path:
    words = [*tabled(hostile, matches=f"{hostile}/gold.csv"), "student.rounds=20", "logger=none", *here(hostile)]
    succeeded(command(*words, folder=hostile))
    return hostile / "run"


@pytest.fixture(scope="module")
def without_gold(command: Commands, tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bare")
    succeeded(command(*tabled(tables), "student.rounds=20", "logger=none", *here(folder), folder=folder))
    return folder / "run"


@pytest.fixture(scope="module")
def page(with_gold: Path) -> str:
    return report(read(with_gold))


def test_text_from_records_is_never_taken_for_markup(page: str) -> None:
    parsed = Page(page)
    assert "throw 'it ran'" in parsed.text
    assert [name for name, _ in parsed.elements].count("script") == 1
    assert "img" not in {name for name, _ in parsed.elements}
    assert not [key for _, attributes in parsed.elements for key in attributes if key.startswith("on")]


def test_a_page_needs_nothing_but_itself(page: str) -> None:
    addresses = [
        (name, v) for name, a in Page(page).elements for k, v in a.items() if k in ("src", "href", "data", "action")
    ]
    assert addresses
    assert all(str(value).startswith(("#", "data:,")) for _, value in addresses)
    assert not re.search(r"url\(|@import", page)


def test_a_page_tells_the_scores_of_the_scorecard(page: str, with_gold: Path) -> None:
    text, own = Page(page).text, card(with_gold)["datasets"]["tables"]
    for scores in (own["student"]["plain"], own["student"]["one_to_one"], own["teacher"]["plain"]):
        for metric in ("selection_accuracy", "pair_f1", "match_f1", "end_to_end_f1"):
            assert f"{scores[metric]:.3f}" in text
    wrong = own["student"]["one_to_one"]["queries"] * (1 - own["student"]["one_to_one"]["selection_accuracy"])
    assert f"The student answered {round(wrong):,} of {own['student']['one_to_one']['queries']:,} test queries" in text


def test_the_command_on_the_page_is_the_one_that_was_typed(page: str, hostile: Path) -> None:
    assert f"python run.py dataset=tables dataset.queries={hostile}/a.csv" in Page(page).text


def test_won_and_lost_on_the_training_queries_are_counted_as_a_plain_loop_counts_them(
    page: str, with_gold: Path
) -> None:
    part = read(with_gold).parts["tables"]
    assert part.records is not None
    assert part.student is not None
    assert part.teacher is not None
    gold = {(r["query_id"], r["candidate_id"]) for r in part.records.matches.to_pylist()}  # type: ignore[union-attr]
    assert part.candidates is not None
    listed = {(r["query_id"], r["candidate_id"]) for r in part.candidates.table.to_pylist()}
    reachable = {q for q, _ in gold & listed}
    right = {}
    for source, answers in (("student", part.student), ("teacher", part.teacher)):
        for row in answers.table.to_pylist():
            choice = row["choice"]
            pair = (row["query_id"], row["options"][choice - 1]) if choice else None
            right[source, row["query_id"]] = pair in gold if pair else row["query_id"] not in reachable
    asked = part.teacher.query_ids.tolist()
    won = sum(right["student", q] and not right["teacher", q] for q in asked)
    lost = sum(right["teacher", q] and not right["student", q] for q in asked)
    text = Page(page).text
    assert f"On {len(asked)} queries that both answered" in text
    assert f"right where the teacher is wrong on {won} and wrong where the teacher is right on {lost}" in text


def test_without_gold_a_page_tells_matches_conflicts_and_the_least_certain(without_gold: Path) -> None:
    run = read(without_gold)
    answers = run.parts["tables"].student
    assert answers is not None
    text = Page(report(run, examples=3)).text
    claims = [c for c in answers.chosen_ids.tolist() if c >= 0]
    contested = sum(claims.count(c) > 1 for c in set(claims))
    assert f"holds {len(claims):,} of {len(answers.choice):,} queries for matched" in text
    assert f"{contested:,} candidates are claimed by several queries" in text
    least = min(max(row["distribution"]) for row in answers.table.to_pylist())
    assert f"tables · {least:.0%} sure" in text
    assert "Gold matches are not known" in text


def test_a_run_whose_store_is_gone_still_has_a_page_that_says_so(with_gold: Path, tmp_path: Path) -> None:
    page = Page(report(read(with_gold, store=tmp_path / "nowhere")))
    assert "has not kept its student" in page.text
    assert "Errors by slice" in page.text


def test_a_run_whose_records_changed_is_not_shown_with_them(with_gold: Path, hostile: Path, tmp_path: Path) -> None:
    shutil.copytree(with_gold, tmp_path / "run")
    text = (tmp_path / "run" / "config.yaml").read_text(encoding="utf-8")
    (tmp_path / "b.csv").write_text(
        (hostile / "b.csv").read_text(encoding="utf-8").replace("C-001", "C-999"), encoding="utf-8"
    )
    (tmp_path / "run" / "config.yaml").write_text(
        text.replace(f"{hostile}/b.csv", f"{tmp_path}/b.csv"), encoding="utf-8"
    )
    part = read(tmp_path / "run").parts["tables"]
    assert part.records is None
    assert any("changed" in each or "not shown" in each for each in part.missing)


def test_a_folder_without_a_run_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DistillerError, match=r"holds no scorecard\.json"):
        read(tmp_path)
    ran = subprocess.run([sys.executable, SCRIPT, tmp_path], capture_output=True, text=True)
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1
    assert "Traceback" not in ran.stderr


def test_a_sweep_has_an_index_with_a_link_to_the_page_of_each_job(
    with_gold: Path, without_gold: Path, tmp_path: Path
) -> None:
    for name, folder in (("2", with_gold), ("10", without_gold)):
        shutil.copytree(folder, tmp_path / name)
    ran = subprocess.run([sys.executable, SCRIPT, tmp_path], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    index = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    links = [a["href"] for name, a in index.elements if name == "a"]
    assert links == ["2/report.html", "10/report.html"]
    assert all((tmp_path / str(link)).is_file() for link in links)
    assert f"{card(with_gold)['mean']['student']['one_to_one']['pair_f1']:.3f}" in index.text


def console(page: Path) -> tuple[str, list[str]]:
    """A page's elements after its script ran in a browser, and what it wrote to the console."""
    assert BROWSER is not None
    words = [
        BROWSER,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--v=0",
        "--dump-dom",
    ]
    ran = subprocess.run([*words, page.resolve().as_uri()], capture_output=True, text=True, timeout=120)
    return ran.stdout, [line for line in ran.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on this machine")
def test_a_browser_opens_the_page_without_a_word_on_its_console(page: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    elements, said = console(tmp_path / "page.html")
    assert "<h2>Scores</h2>" in elements
    assert not said
    assert 'class="filter"' not in elements or 'class="filter" hidden' not in elements  # the script has run
    broken = page.replace("</main>", "</main><script>throw 'a fault'</script>")
    (tmp_path / "broken.html").write_text(broken, encoding="utf-8")
    assert console(tmp_path / "broken.html")[1], "a script that is not the page's own is refused aloud"


@pytest.mark.needs_data
def test_recorded_answers_of_the_teacher_to_test_queries_are_compared_with(command: Commands, tmp_path: Path) -> None:
    words = ["dataset=abt-buy", "teacher=recorded", "teacher.name=qwen2.5-32b", "selector=recorded", "student.rounds=5"]
    succeeded(command(*words, "student.members=1", "student.folds=2", "logger=none", *here(tmp_path), folder=tmp_path))
    run = read(tmp_path / "run")
    found = finished.teacher_on_test(run, run.parts["abt-buy"])
    assert found is not None
    answered, scores = found
    assert answered.num_rows == scores["queries"] == 943
    assert scores["selection_accuracy"] == pytest.approx(0.9194, abs=6e-4)  # the paper's figure, see the data's README
    right = np.array(answered["right"].to_pylist())
    assert right.mean() == pytest.approx(scores["selection_accuracy"])
    made = subprocess.run([sys.executable, SCRIPT, tmp_path / "run"], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    text = Page((tmp_path / "run" / "report.html").read_text(encoding="utf-8")).text
    assert "On 943 queries that both answered" in text
    assert "8B student of qwen2.5-32b (paper)" in text
    assert "about the same candidates, training and test queries" in text
    words = json.loads((tmp_path / "run" / "scorecard.json").read_text(encoding="utf-8"))["datasets"]["abt-buy"]["keys"]
    assert words["student"] in text
