"""Every command of the documentation runs, or says why not; what it shows is what comes out."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import RUN, Commands, Outcome, environment, rows
from documentation import DOCS, KNOWN, PAGES, ROOT, SHELL, Block, blocks, indented, is_python, masked, words_of
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from loopback_server import Loopback

from distiller.config import build

DATA = Path(os.environ["DISTILLER_DATA"])

CONSOLE = ROOT / "src" / "distiller" / "command" / "__main__.py"
#: Shell blocks whose commands are not run here, and commands in them; who adds one changes this number.
NOT_RUN = {"index.md": 2, "paper.md": 3, "scaling.md": 9}
#: Words for every run, before its own: no files of the logger, and one thread, so that it does not fight with other tests.
QUIET = ["logger=none", "threads=1"]


class Walk:
    """A reader who follows the pages in one folder, whose store they share."""

    def __init__(self, folder: Path, command: Commands, server: str):
        self.folder, self.command, self.server = folder, command, server
        self.followed: dict[str, list[str]] = {}

    def follow(self, page: str) -> list[str]:
        """Do what a page says, in its order, once; returns the commands that were run."""
        if page not in self.followed:
            self.followed[page] = self._follow(page)
        return self.followed[page]

    def _follow(self, page: str) -> list[str]:
        done: list[str] = []
        printed = ""
        for block in blocks(page):
            if block.title:
                place = self.folder / block.title
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(block.text, encoding="utf-8")
            elif "not run" in block.said or (block.said.get("needs") == "data" and not (DATA / "abt-buy").is_dir()):
                printed = ""
            elif block.language in SHELL:
                commands = block.commands()
                printed = "".join(
                    self.told(block, each, self.shell(each, block.said.get("run with"))) for each in commands
                )
                done += commands
            elif block.language == "python":
                printed = self.told(block, block.text, self.python(block.text))
                done.append(block.text)
            elif "printed exactly" in block.said and printed:
                assert block.text == printed, f"{page}:{block.line}"
            elif "printed" in block.said and printed:
                missing = [line for line in masked(block.text) if not any(line in own for own in masked(printed))]
                assert not missing, f"{page}:{block.line}: not printed: {missing}\n{printed}"
        return done

    def told(self, block: Block, what: str, outcome: Outcome) -> str:
        """What was printed, after it is clear that it went well."""
        assert outcome.code == 0, f"{block.page}:{block.line}: {what}\n{outcome.out}{outcome.err}"
        assert "Traceback" not in outcome.err, f"{block.page}:{block.line}: {what}\n{outcome.err}"
        return outcome.out + outcome.err

    def shell(self, line: str, more: str | None) -> Outcome:
        """One command; `more` are words to add where it runs an experiment or a benchmark."""
        variables, words = words_of(line)
        added = (more or "").replace("{server}", self.server).split()
        program, options = self.folder / "none", [word for word in added if word.startswith("-") or word.isdigit()]
        if words[0] == "distiller":
            program, words = CONSOLE, words[1:]
            added = [*QUIET, *added] if words[0] == "run" else options
        elif words[0] == "python":
            place = next(p for p in (self.folder / words[1], ROOT / words[1]) if p.exists())
            program, words = place, words[2:]
            added = [*QUIET, *added] if place == RUN else options
        if not program.exists():
            assert words[0] in {"head", "cp", "iconv", "printf"}, f"what is {words[0]}? {line}"
            ran = subprocess.run(["bash", "-c", line], cwd=self.folder, capture_output=True, text=True, timeout=60)
            return Outcome(ran.returncode, ran.stdout, ran.stderr)
        variables = {k: str(self.folder / v) if k == "PYTHONPATH" else v for k, v in variables.items()}
        end = max((i for i, word in enumerate(words, start=1) if "=" in word), default=len(words))
        words = [*words[:end], *added, *words[end:]]  # Hydra wants what it overrides side by side
        return self.command(*words, folder=self.folder, program=program, **variables)

    def python(self, text: str) -> Outcome:
        """A program that a page shows."""
        with tempfile.TemporaryDirectory() as place:
            program = Path(place, "shown.py")
            program.write_text(text, encoding="utf-8")
            return self.command(folder=self.folder, program=program)


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory, command: Commands) -> Iterator[Walk]:
    """A reader who has the tutorial behind him, as the other pages go on with its tables."""
    with Loopback() as server:
        walk = Walk(tmp_path_factory.mktemp("reader"), command, server.url)
        walk.follow("tables.md")
        yield walk


def test_the_tutorial_leaves_the_matches_that_it_promises(walk: Walk) -> None:
    found = {name: rows(walk.folder / name) for name in ("matches.csv", "reasons.csv", "all.csv")}
    assert len({match["candidate_id"] for match in found["matches.csv"]}) == len(found["matches.csv"]) > 150
    silent = [match for match in found["reasons.csv"] if not match["rationale"]]
    assert len(silent) < 0.1 * len(found["reasons.csv"])
    assert all(float(match["probability"]) < 0.5 for match in silent), "second choices, as the FAQ says"
    pairs = {name: {(match["query_id"], match["candidate_id"]) for match in each} for name, each in found.items()}
    assert pairs["reasons.csv"] == pairs["matches.csv"] < pairs["all.csv"]
    own = {(m["query_id"], m["candidate_id"]) for m in rows(walk.folder / "outputs/shop/matches.csv")}
    assert own == pairs["matches.csv"], "a saved student answers as it did in its run"


@pytest.mark.parametrize("page", [page for page in PAGES if page not in ("tables.md", "paper.md")])
def test_what_a_page_says_can_be_done(page: str, walk: Walk) -> None:
    assert walk.follow(page)


@pytest.mark.needs_data
def test_the_paper_can_be_reproduced_as_its_page_says(walk: Walk) -> None:
    (walk.folder / "conf").symlink_to(ROOT / "conf")  # the page is about a clone of the repository
    walk.follow("paper.md")
    boards = (walk.folder / "outputs/boards/LEADERBOARD.md").read_text(encoding="utf-8")
    assert "boosted" in boards
    assert (walk.folder / "outputs/told/report.html").is_file()


def test_chunks_change_no_pair_of_the_example(walk: Walk) -> None:
    """The page calls the difference slight."""
    walk.follow("scaling.md")
    whole, chunked = (
        {(m["query_id"], m["candidate_id"]) for m in rows(walk.folder / name)}
        for name in ("matches.csv", "chunked.csv")
    )
    assert len(whole & chunked) > 0.9 * len(whole | chunked)


def test_every_command_is_run_or_tells_why_it_is_not() -> None:
    left = {}
    for page in PAGES:
        for block in blocks(page):
            assert set(block.said) <= KNOWN, f"{page}:{block.line}: {block.said}"
            if block.language in SHELL:
                assert block.language == "bash", f"{page}:{block.line}: write ```bash"
                assert not re.search(r"^\$ ", block.text, re.MULTILINE), f"{page}:{block.line}: no prompts"
            reason = block.said.get("not run")
            if reason is not None:
                places = re.findall(r"[\w/]+\.py", reason)
                assert places or "needs" in reason, f"{page}:{block.line}: who runs it, or what does it need?"
                assert all((ROOT / place).is_file() for place in places), reason
                left[page] = left.get(page, 0) + len(block.commands())
    assert left == NOT_RUN
    assert sorted(PAGES) == sorted(path.name for path in DOCS.glob("*.md"))
    assert sum(len(block.commands()) for page in PAGES for block in blocks(page) if block.language == "bash") > 50


def sane(command: str) -> None:
    """A command that is not run here has a program, a configuration and options that exist."""
    _, words = words_of(command)
    if words[0] == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert set(words[1:]) <= set(targets), command
    elif words[:2] == ["python", "run.py"] or words[:2] == ["distiller", "run"]:
        composed(words[2:])
    elif words[0] == "distiller":
        ran = subprocess.run(
            [sys.executable, str(CONSOLE), *words[1:], "--help"], capture_output=True, text=True, env=environment()
        )
        assert ran.returncode == 0, f"{command}\n{ran.stderr}"
        assert all(word in ran.stdout for word in words[1:] if word.startswith("--")), command
    elif words[0] == "python":
        source = (ROOT / words[1]).read_text(encoding="utf-8")
        assert all(word in source for word in words[2:] if word.startswith("--")), command
    else:
        assert words[0] in {"pip", "git", "cd"}, f"what is {words[0]}? {command}"


def composed(words: list[str]) -> None:
    """Every value that the words of a run or a sweep name makes an experiment."""
    if "--help" in words:
        return
    words = [word for word in words if word != "-m"]
    choices = []
    for word, override in zip(words, OverridesParser.create().parse_overrides(words), strict=True):
        swept = (
            [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
            if (override.is_sweep_override())
            else [word]
        )
        choices.append(swept)
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        for i in range(max(map(len, choices), default=1)):
            build(compose("config", [values[min(i, len(values) - 1)] for values in choices]))


def test_commands_that_are_not_run_name_things_that_exist() -> None:
    for page in PAGES:
        for block in blocks(page):
            if "not run" in block.said:
                for command in block.commands():
                    sane(re.sub(r"hydra\.launcher\.\S+", "", command))


def test_the_commands_of_the_readme_name_things_that_exist() -> None:
    shown = indented((ROOT / "README.md").read_text(encoding="utf-8"))
    commands = [line for block in shown if not is_python(block) for line in block]
    assert len(commands) > 10
    for command in commands:
        sane(command)
    for block in filter(is_python, shown):
        compile("\n".join(block), "README.md", "exec")


def test_the_pages_are_those_of_the_site_and_their_links_lead_somewhere() -> None:
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert sorted(re.findall(r"[\w-]+\.md", site)) == sorted(PAGES)
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+\.\w+)(?:#[\w-]*)?\)", (DOCS / page).read_text(encoding="utf-8")):
            assert (DOCS / target).is_file(), f"{page} links to {target}"


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("material")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env={**environment(), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    for page in PAGES:
        html = (tmp_path / "site" / page.replace(".md", ".html")).read_text(encoding="utf-8")
        assert not re.search(r'(?:src|href)="https?://[^"]+\.(?:css|js|woff2?)"', html), (
            "nothing is fetched from elsewhere"
        )
        assert "run with:" not in re.sub(r"<!--.*?-->", "", html)
    assert '<svg class="line"' in (tmp_path / "site/index.html").read_text(encoding="utf-8")
