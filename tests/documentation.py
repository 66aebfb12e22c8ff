"""The documentation as something to be run: its commands, the files it shows, what it says is printed.

A comment in the source of a page speaks about the block that follows it:

    <!-- run with: WORDS -->      added to the commands, to make them small: key=value to runs, options to all others
    <!-- needs: data -->          the benchmark datasets; `server`: a language model's, whose address is {server} in WORDS
    <!-- not run: REASON -->      and what runs it in its place, or what it would need
    <!-- printed -->              the lines occur in what the command before printed, figures and blanks aside
    <!-- printed exactly -->      they are all that it printed

Several are separated by semicolons.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = ["tables.md", "index.md", "scores.md", "extend.md", "scaling.md", "faq.md", "paper.md"]  # in the order run
SHELL = {"bash", "sh", "shell", "console"}
KNOWN = {"run with", "needs", "not run", "printed", "printed exactly"}


@dataclass(frozen=True)
class Block:
    """One fenced block. language, title: of its first line; said: what the comment before it says, by key."""

    page: str
    line: int
    language: str
    title: str | None
    text: str
    said: dict[str, str]

    def commands(self) -> list[str]:
        """The commands of a shell block, lines that go on joined, without the shell's own comments."""
        joined = re.sub(r"\\\n\s*", " ", self.text)
        return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def blocks(page: str) -> list[Block]:
    """All fenced blocks of a page, in order."""
    found, said = [], {}
    lines = iter(enumerate((DOCS / page).read_text(encoding="utf-8").splitlines(), start=1))
    for number, line in lines:
        if comment := re.fullmatch(r"<!--(.*)-->", line.strip()):
            parts = [part.partition(":") for part in re.split(r";\s*(?=(?:run with|needs|not run):)", comment[1])]
            said = {key.strip(): value.strip() for key, _, value in parts}
            continue
        fence = re.fullmatch(r'(\s*)```(\w+)(?: title="([^"]+)")?', line)
        if fence is None:
            assert "```" not in line, f"{page}:{number}: a block that the test does not understand: {line}"
            said = said if not line.strip() else {}
            continue
        inside = []
        for _, each in lines:
            if each.strip() == "```":
                break
            inside.append(each.removeprefix(fence[1]))
        found.append(Block(page, number, fence[2], fence[3], "\n".join(inside) + "\n", said))
        said = {}
    return found


def words_of(command: str) -> tuple[dict[str, str], list[str]]:
    """Variables set in front of a command, and its words."""
    words = shlex.split(command)
    count = next(i for i, word in enumerate(words) if not re.match(r"[A-Z_]+=", word))
    return dict(word.split("=", 1) for word in words[:count]), words[count:]


def masked(text: str) -> list[str]:
    """The lines of a text without their figures, blanks and rules, to compare what was printed."""
    lines = [re.sub(r"\s+", " ", re.sub(r"[\d.,]*\d", "#", line)).strip() for line in text.splitlines()]
    return [line for line in lines if line.strip("─ ")]


def indented(text: str) -> list[list[str]]:
    """What a README shows to be typed: blocks of lines indented by four blanks, or in fences of the shell."""
    found: list[list[str]] = [[]]
    fence = None
    for line in text.splitlines():
        if line.startswith("```"):
            fence = (line[3:] or "text") if fence is None else None
        elif line.strip() and (fence in SHELL or (fence is None and line.startswith("    "))):
            found[-1].append(line[4:] if fence is None else line)
            continue
        if found[-1]:
            found.append([])
    return [[re.sub(r"\s+#.*", "", line) for line in block] for block in found if block]


def is_python(block: list[str]) -> bool:
    """Whether the lines are Python rather than commands."""
    return block[0].startswith(("import ", "from "))
