"""Whether an explanation stands by the answer it explains, read by rules over English sentences.

The text is rewritten first: what stands in quotation marks is blanked, every way to name a candidate (`[3]`, `candidate 3`,
`the third candidate`, `index 3`) becomes CHOSEN for the answer explained, OTHER for another candidate or NOTHING for
"none of them". The rules then look at one sentence at a time:

* the answer is called wrong: "the correct answer CHOSEN does not match", "an error in the provided answer", "rather than CHOSEN";
* another option is preferred: "the correct match should be OTHER", "the answer is NOTHING", "given record and OTHER share the
  same title" while nothing of the kind is said of CHOSEN;
* none is said to match although a candidate was chosen, and the choice is not defended afterwards ("however, CHOSEN is closest");
* a candidate is said to match although "none" was chosen, and nowhere it is said that none matches.

Limits: English only. Candidates named only by their values ("the answer is Episode 19, not Episode 23") are not told apart.
Irony, hypothetical clauses ("if [3] were the answer") and agreement across sentences are not understood. A text
that says nothing about any option contradicts nothing.
"""

import re
from enum import StrEnum

from distiller.rationale import wording
from distiller.rationale.quoted import choices, straight, without_quoted

_ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]
_OPTION = choices(
    "candidates?", "records?", "options?", "answers?", "choice", "index", "numbers?", "item", r"no\.", "#"
)
_BRACKETED = re.compile(r"\[\s*(\d+)\s*\]")
_UNBRACKETED = re.compile(
    rf"\b(?:candidate|record|option)s?(?:\s+{_OPTION})*(?: at index)?\s+#?(?P<bare>\d{{1,2}})(?![\w-]|\.\d|\s+(?:of|and|or)\b)"
    r"|\b(?:answer|index)\s+(?:is\s+)?(?P<answer>\d{1,2})(?![\w-]|\.\d)"
    rf"|\b(?P<ordinal>{'|'.join(_ORDINALS)})\s+(?:candidate|option)(?: record)?\b"
)
_AROUND = re.compile(r"['\"(]+(?=[\1\2\3])|(?<=[\1\2\3])['\")]+")
_LEADING = re.compile(rf"\b(?:the {_OPTION}|{_OPTION})\s+(?:(?:the )?{_OPTION}\s+)*(?:at )?(?=[\1\2\3])")
_QUOTED_ANSWER = re.compile(r"(\banswer\b(?: \w+){0,4}) ['\"](\d{1,2})['\"]")
_NO_STOP = re.compile(
    r"\.(?:(?<=\b[A-Z]\.)|(?<=\bvs\.)|(?<=\bProc\.)|(?<=\bInc\.)|(?<=\bno\.)|(?!\s|$)|(?=\s+[a-z]))", re.MULTILINE
)
_BEFORE_STOP = re.compile(r" +([,.;!?])")
_SENTENCE = re.compile(r"(?<=[.!?;])\s+")


class Contradiction(StrEnum):
    """How an explanation goes against its answer."""

    CALLED_WRONG = "answer called wrong"
    OTHER_PREFERRED = "another option preferred"
    NONE_MATCHES = "none said to match"
    ONE_MATCHES = "a candidate said to match"


def contradiction(text: str, choice: int, n_options: int) -> Contradiction | None:
    """How the text goes against answer `choice` (0 = none of `n_options` candidates); None where it does not."""
    sentences = _sentences(text, choice, n_options)
    return _against_none(sentences) if choice == 0 else _against_chosen(sentences)


def _against_chosen(sentences: list[str]) -> Contradiction | None:
    doubtful = [s for s in sentences if any(hint in s for hint in wording.HINTS_OF_WRONG)]
    if any(wording.CALLED_WRONG.search(s) or wording.CHOSEN_REJECTED.search(s) for s in doubtful):
        return Contradiction.CALLED_WRONG
    if _prefers_other(sentences):
        return Contradiction.OTHER_PREFERRED
    defended = [
        i for i, s in enumerate(sentences) if "CHOSEN" in s and wording.DEFENDED.search(s) and not _all_denied(s)
    ]
    none = [i for i, s in enumerate(sentences) if wording.NONE_AT_ALL.search(s) or wording.NO_PERFECT_ONE.search(s)]
    if none:
        last = sentences[none[-1]]
        concluded = wording.NONE_AT_ALL.search(last) or last.startswith(("therefore", "thus", "hence"))
        if not defended or (defended[-1] < none[-1] and concluded):
            return Contradiction.NONE_MATCHES
    if not defended and any(_praises_other(s) for s in sentences):
        return Contradiction.OTHER_PREFERRED
    return None


def _against_none(sentences: list[str]) -> Contradiction | None:
    none = any(wording.NONE_AT_ALL.search(s) or wording.NO_PERFECT_ONE.search(s) for s in sentences)
    if any(wording.CALLED_WRONG.search(s) and not wording.NONE_AT_ALL.search(s) for s in sentences):
        return Contradiction.CALLED_WRONG
    if not none and _prefers_other(sentences):
        return Contradiction.OTHER_PREFERRED
    denied = [bool(wording.NOT_A_MATCH.search(s)) for s in sentences]
    affirmed = any(wording.ONE_MATCHES.search(s) and not no for s, no in zip(sentences, denied, strict=True))
    told = any(wording.ONLY_TOLD_SO.search(s) for s in sentences)
    if affirmed and (told or not (none or any(denied))):
        return Contradiction.ONE_MATCHES
    return None


def _prefers_other(sentences: list[str]) -> bool:
    return any(("OTHER" in s or "NOTHING" in s) and wording.OTHER_PREFERRED.search(s) for s in sentences)


def _all_denied(sentence: str) -> bool:
    """Whether every clause that speaks of the chosen candidate denies or concedes something."""
    clauses = [c for c in re.split(r",\s|\bbut\b|\bhowever\b", sentence) if "CHOSEN" in c]
    return all(wording.DENIED.search(c) for c in clauses)


def _praises_other(sentence: str) -> bool:
    clauses = re.split(r"\bbut\b|\bhowever\b|\balthough\b|\bwhile\b", sentence)
    return any(
        "OTHER" in c and "CHOSEN" not in c and re.search(wording.SAME, c) and not wording.DENIED.search(c)
        for c in clauses
    )


def _sentences(text: str, choice: int, n_options: int) -> list[str]:
    """The text's sentences, in lower case except for CHOSEN, OTHER and NOTHING."""

    def option(number: int) -> str:
        return "\1" if number == choice else "\2" if number else "\3"

    def unbracketed(match: re.Match[str]) -> str:
        return option(
            _ORDINALS.index(match["ordinal"]) + 1 if match["ordinal"] else int(match["bare"] or match["answer"])
        )

    text = _NO_STOP.sub(" ", without_quoted(straight(text))).lower()
    text = _BRACKETED.sub(lambda m: option(int(m[1])), _QUOTED_ANSWER.sub(r"\1 [\2]", text))
    text = _LEADING.sub("", _AROUND.sub("", _UNBRACKETED.sub(unbracketed, text)))
    text = text.replace("\1", " CHOSEN ").replace("\2", " OTHER ").replace("\3", " NOTHING ")
    if n_options == 1 and choice == 1:  # with one candidate, "the candidate" needs no number
        text = re.sub(r"\b(?:only |single )?candidate record\b(?!s)(?! (?:CHOSEN|OTHER))", " CHOSEN ", text)
    text = _BEFORE_STOP.sub(r"\1", " ".join(text.split()))
    return [sentence.strip() for sentence in _SENTENCE.split(text) if sentence.strip()]
