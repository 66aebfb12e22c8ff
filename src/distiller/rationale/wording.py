"""English in which an explanation sides with its answer or against it, as regular expressions.

They are made for sentences as `verdict` rewrites them: in lower case, without quoted text, with CHOSEN for the answer that is
explained, OTHER for any other candidate and NOTHING for "none of them".
"""

import re

from distiller.rationale.quoted import choices


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


def _words(most: int) -> str:
    """Up to so many words, each with the blank after it."""
    return rf"(?:\w+ ){{0,{most}}}"


def _gap(most: int, *without: str) -> str:
    """Up to so many characters of the same clause without any of these words."""
    barred = rf"(?!\b{choices(*without)}\b)" if without else ""
    return rf"(?:{barred}[^.;]){{0,{most}}}"


_ANOTHER = ("OTHER", "others?")
_ABOUT_CHOSEN = rf"^(?!.*\b{choices(*_ANOTHER)}\b).*"  # the sentence speaks of no other candidate
_NOT = r"(?:(?:does|do|did|is|are|was|were|can|could|should|would)(?:n't| not)|cannot|fails? to)"
_WHOLLY = choices("exactly", "perfectly", "completely", "fully")
_ADVERBS = rf"(?:(?!{_WHOLLY})\w+ly |even |really |seems? to |appear to |in fact )*"
_MATCHES = choices(
    "match", "matches", "refers?", "corresponds?", "aligns?", "meet", "fit", "relate", "belong", "share any"
)
_PARTLY = rf"(?! (?:\w+ )?{choices('exactly', 'perfectly', 'completely', 'fully', 'every', 'all', 'both')})"
_DOES_NOT_MATCH = rf"\b{_NOT} {_ADVERBS}{_MATCHES}{_PARTLY}"

_FAULTS = choices("error", "mistake", "misunderstanding", "misinterpretation", "mix-?up", "misstatement")
_IN_A_RECORD = choices("spelling", "given", "candidate", "title", "name", "year", "original", "data", "record", "entry")
_FAULT = (
    rf"(?<!minor )(?<!slight )(?<!graphical )(?<!spelling )(?<!entry ){_FAULTS}\b"
    rf"(?! or (?:typo|variation|variant|abbrev)| in (?:the |its )?{_IN_A_RECORD})"
)
_RIGHT = choices("correct", "accurate", "right", "valid", "appropriate", "suitable")
_WRONG = rf"(?:incorrect|inaccurate|wrong|erroneous|invalid|not (?:\w+ly )?{_RIGHT})"
_ANSWER = choices("answer", "selection", "choice", "justification", "assignment", "response", "reference", "label")
_BE = choices("is", "was", "be", "as", "seems?", "appears?", "are")

#: Only sentences with one of these can call the answer wrong; looking for them first saves most of the time.
HINTS_OF_WRONG = (
    *(
        "not ",
        "n't ",
        " no ",
        "wrong",
        "incorrect",
        "inaccura",
        "erro",
        "invalid",
        "mis",
        "mix",
        "discrepan",
        "inconsist",
    ),
    *(
        "contradict",
        "impossible",
        "arbitrary",
        "less than ideal",
        "by default",
        "than CHOSEN",
        "of CHOSEN",
        "different",
    ),
    *("fail", "cannot"),
)

CALLED_WRONG = _any(  # whatever the answer is
    rf"\b{_ANSWER}\b{_gap(50, *_ANOTHER, 'other', 'because', 'making')}\b{_BE}\b {_words(3)}{_WRONG}",
    rf"\b{_ANSWER}\b{_gap(40)}\b(?:does|do|did) not (?:\w+ )?(?:seem|appear)s? (?:to be )?(?:\w+ )?{_RIGHT}",
    rf"{_ABOUT_CHOSEN}\b(?:makes?|making|marks?|marked) (?:it|this|this choice|CHOSEN|that|them)"
    rf"(?: as)? (?:an? )?{_words(2)}{_WRONG}",
    rf"\b(?:be|is|been|an|possible|potential|some|contains?) {_words(2)}{_FAULT}",
    rf"\b(?:due to|by|because of) (?:an? )?{_words(2)}{_FAULT}",
    rf"\b(?:{_FAULTS}|discrepancy|mismatch|inconsistency|contradiction)(?: or \w+)? "
    rf"(?:in|with|between|regarding) (?:the |this |an? )?{_words(3)}{_ANSWER}",
    r"\b(?:be|is) an? (?:\w+ )?(?:discrepancy|mismatch|inconsistency)(?: \w+)? "
    r"(?:as|since|because|and|between (?:the )?(?:\w+ )?(?:question|answer))",
    r"\bincorrectly (?:states?|stated|marked|identified|labeled|selected|assigned|given|provided|indicates?|chosen)",
    rf"\b{_ANSWER}\b{_gap(30)}\bcontradicts?\b",
    r"\bimpossible to justify\b",
    r"\b(?:should|must|would) not (?:be|have been) CHOSEN",
)
_A_MATCH = r"(?:match|correct answer|correct match)\b(?! exact)"
_DIFFERENT_THINGS = (
    r"different (?:\w+ )?(?:models?|products?|entit|publications?|persons?|people|individuals|works?|papers?)"
)
_SAY_NO_MORE = ("rather than", "not necessarily", "not (?:mean|indicate|suggest|imply)")
CHOSEN_REJECTED = _any(  # where the answer is a candidate
    rf"\banswer\b(?: provided)?{_gap(40, *_ANOTHER, 'other', 'because', 'as', 'since')}\b{_NOT} {_ADVERBS}"
    rf"(?:{_MATCHES}|be (?:a |the )?(?:\w+ )?(?:correct|match)){_PARTLY}",
    rf"CHOSEN{_gap(40, *_ANOTHER, 'because')}\b(?:is|was|be|as|seems|appears)\b {_words(3)}{_WRONG}",
    rf"(?<!\bin )(?<!\bof )CHOSEN{_gap(25, *_ANOTHER, 'other', 'because', 'as', 'since', 'but', 'although', 'though', 'while')}"
    rf"{_DOES_NOT_MATCH}",
    rf"CHOSEN{_gap(40, *_ANOTHER, 'other', 'because', 'as', 'since')}\b(?:is|was|would|should)(?:n't| not) (?:be )?"
    r"(?:\w+ly )?(?:a |the |an )?(?:\w+ )?(?:correct|match|answer|accurate|true)\b(?! exact)",
    r"\b(?:not|rather than|instead of|than) (?:to |for |the )?CHOSEN\b(?! exact)",
    rf"{_ABOUT_CHOSEN}\bnot (?:actually |really )?(?:a|the) (?!perfect|exact|complete|direct|full)(?:\w+ )?{_A_MATCH}",
    rf"\b(?:there is |has |have )?no {_words(2)}(?:justification|basis|reason|evidence)\b(?! to (?:doubt|believe otherwise))",
    r"\b(?:arbitrary|less than ideal|by default)\b",
    r"\b(?:cannot|can not|can't) be (?:\w+ )?(?:justified|considered (?:as )?(?:a |the )?(?:\w+ )?(?:match|correct))",
    rf"^(?!.*\b{choices(*_ANOTHER, *_SAY_NO_MORE)}\b).*\b(?:suggest|indicat|mean)\w*(?: that)? "
    rf"(?:they|these(?: \w+)?|the two(?: \w+)?) (?:are|refer to|may be|might be) (?:\w+ )?{_DIFFERENT_THINGS}",
)

_BEST = choices(
    "correct", "right", "actual", "accurate", "matching", "best", "appropriate", "true", "proper", "closest", "ideal",
    "suitable", "likely",
)  # fmt: skip
_THE_ONE = choices(
    "correct", "actual", "right", "accurate", "closer", "better", "closest", "best", "true", "exact", "perfect"
)
_IS_THE = r"(?:,? (?:which|as|is|being|would be|appears to be|seems to be|was)){1,2}"
OTHER_PREFERRED = _any(
    rf"\b{_BEST} (?:\w+ ){{0,4}}?(?:should|must|would|is|seems|appears|might|could|was)\b"
    r"(?:(?! not\b)[\s,]+\w+){0,5}?[\s,]+(?:OTHER|NOTHING)",
    r"\b(?:answer|match|selection|response)\b(?: \w+){0,2} (?:should|must)\b(?:(?! not\b) \w+){0,4}? (?:OTHER|NOTHING)",
    rf"(?:OTHER|NOTHING)\b{_gap(40, 'not')}\b(?:should|must)\b(?:(?! not\b) \w+){{0,4}} "
    r"(?:correct|answer|match|chosen|selected)",
    rf"OTHER{_IS_THE}(?: \w+ly)? (?:the|a) (?:\w+ )?(?:much )?{_THE_ONE}",
    rf"\b(?:makes?|making) OTHER (?:\w+ )?(?:the|a) (?:\w+ )?(?:most|{_THE_ONE})",
    rf"\b(?:justif\w+|explanation)\b{_gap(20)} should be for OTHER",
    r"\bonly (?:exact |perfect )?(?:match|matching \w+) (?:is|was) OTHER",
    rf"\bonly OTHER\b{_gap(20, 'not')}\bmatch",
    rf"\b(?:none|neither|not match|not have)\b{_gap(200)}\bexcept (?:for )?OTHER",
    rf"\bOTHER\b{_gap(15)}\b(?:rather than|instead of) (?:CHOSEN|NOTHING)",
    r"\banswer (?:to be |be )NOTHING",
    r"(?:OTHER|NOTHING) (?:would|might|could) (?:have been|be) (?:a |the )?(?:more|better|most|correct)",
)

SAME = r"(?:match|matches|matching|refers?|share[sd]?|same|identical|corresponds?|aligns?|similar|exact|closest|both)"
DENIED = re.compile(
    r"\b(?:not|no|none|neither|nor|cannot|without|never|n't|differs?|different|although|though|despite|lacks?)\b"
)
DEFENDED = _any(
    r"\b(?:correct|right|best|provided|given|selected)?\s*(?:answer|match|candidate|choice|option)s?(?: \w+){0,2} "
    rf"(?:is|are|was|be|remains) {_words(2)}CHOSEN",
    rf"CHOSEN\b{_gap(60)}\b(?:is|was|as|be|being|appears|seems|makes?|making)\b {_words(5)}"
    r"(?:correct|closest|best|match|selected|chosen|most|answer|likely|closer|only)",
    rf"CHOSEN\b{_gap(40)}\b{SAME}\b",
    rf"\b{SAME}\b{_gap(40)} CHOSEN",
)

_KINDS = choices("candidates?", "records?", "options?", "answers?", "matches", "entries", "entities")
_TELLING = choices("correct", "matching", "suitable", "corresponding", "valid", "direct", "such", "clear", "true")
_COUNTED = choices("candidates?", "records?", "match", "matches", "answer", "entity", "entities")
NONE_AT_ALL = _any(
    rf"\bnone of (?:the |these |its |those |all )?(?!other|remaining|\w+ other){_words(2)}{_KINDS}\b(?! (?:\w+ )?{_WHOLLY})",
    r"\bnone (?:of (?:them|these|those|which) )?(?:\w+ly )?(?:match|matches|refer|share|correspond|actually)\b"
    r"(?! (?:all|exactly|perfectly))",
    rf"\b(?:no|not any|without any) (?:{_TELLING} )*{_COUNTED}\b(?! exactly| perfectly| for (?:the )?(?!given))",
    rf"\bneither (?:of (?:the )?)?(?:\w+ )?(?:{_KINDS}|OTHER)\b(?! (?:exactly|perfectly))",
    rf"\b(?:given|original)\b {_words(3)}and (?:the |any of the |all |all the )?(?:\w+ )?{_KINDS}(?: provided)? "
    rf"{_NOT} {_ADVERBS}(?:{_MATCHES}|have (?:a |any )matching){_PARTLY}",
    rf"(?<!other )(?<!other two )(?<!other three )\bcandidate records?(?: provided)? "
    rf"{_NOT} {_ADVERBS}(?:{_MATCHES}|have (?:a |any )match\w*){_PARTLY}",
    r"\bcorrect (?:answer|match) is not (?:\w+ )?(?:present|listed|among|included|in|available|provided)",
)
NO_PERFECT_ONE = _any(
    rf"\bnone (?:of (?:the |these )?{_words(2)}{_KINDS}\b )?(?:\w+ )?(?:{_WHOLLY}|match all|match both)",
    r"\b(?:no|not an?|isn't an?|not have an?|without an?) (?:\w+ )?"
    r"(?:exact|perfect|complete|full|precise) (?:match|correspondence|candidate)",
    rf"\bneither (?:of (?:the )?)?(?:\w+ )?(?:{_KINDS}|OTHER)",
)
_GROUNDS = choices(
    r"match\w*", "information", "evidence", "connection", "basis", "similarity", "indication", "relation", "overlap"
)
NOT_A_MATCH = _any(  # said of any candidate
    rf"^(?!.*\bothers?\b).*\b{_NOT} (?:\w+ )?{_ADVERBS}{_MATCHES}",
    r"\b(?:to confirm|insufficient|impossible)\b",
    rf"\b(?:no|insufficient|without|not enough|lacks?) {_words(2)}{_GROUNDS}",
    r"\b(?:not|isn't) (?:\w+ )?(?:an?|the) (?:\w+ )?(?:match|candidate)",
    r"\b(?:cannot|can not|could not) be (?:\w+ )?(?:determined|considered|confirmed|identified)",
    rf"\b{_DIFFERENT_THINGS}|\bdifferent (?:\w+ )?episodes?",
)
_DENIALS = ("not", "no", "neither", "nor", "different")
ONE_MATCHES = _any(
    r"\bshould have been (?:a |the )?(?:\w+ )?match",
    r"\b(?:given|original)\b (?:entity )?(?:record|entity) and (?:the )?(?:OTHER|CHOSEN|candidate records?)\b"
    rf"{_gap(80, *_DENIALS, 'differ')}\b(?:refers?|same|identical|match(?:es)?|share)",
    rf"\b(?:OTHER|CHOSEN|candidate record)\b{_gap(60, *_DENIALS, 'differs?', 'but', 'none', 'cannot')}\b"
    r"(?:refers? to the same|(?:most likely|closest|best|exact|perfect|only|a|the) match\b"
    r"|matches (?:the (?:given|original)|exactly|all|perfectly))",
    r"\bmatch(?:es|ing)? (?:\w+ ){0,3}(?:with )?OTHER\b(?! in (?:title|name) only)",
    r"^(?:(?!\b(?:not|no|none|neither|nor|different|cannot|if|whether)\b)[^.;])*\brefers? to the same "
    r"(?:real[- ]world )?(?:entity|person|product|paper|publication|movie|episode)",
)
ONLY_TOLD_SO = _any(  # the answer is reported, not given a reason
    rf"\b(?:since|because|as|but|however|given that|if)\b{_gap(40)}\banswer\b{_gap(25)}"
    rf"\b(?:provided|given|is|was|marked|specified)\b{_gap(30)}CHOSEN{_gap(30)}\b(?:impl|indicat|suggest|mean|seem|contradict)",
    rf"\banswer\b {_words(4)}CHOSEN,? (?:which )?(?:impl|indicat|suggest)\w*{_gap(40)}\b(?:not|none|no)\b{_gap(20)}"
    r"\b(?:considered|deemed|selected)",
)
