"""The attributes of two tables that an explanation names, by their own name or by a plain word for them."""

import re
from functools import lru_cache

from distiller.rationale.quoted import straight, words_of

#: Names that data files run together, and what they say.
RUN_TOGETHER = {"modelno": "model number", "shipweight": "ship weight"}

#: Other words for what an attribute is called; an attribute has those of every entry that its words contain.
SYNONYMS = {
    "title": ["titled", "heading"],
    "name": ["named"],
    "given name": ["first name", "forename"],
    "surname": ["last name", "family name"],
    "author": ["authored", "writer", "co-author"],
    "artist": ["performer", "singer", "band"],
    "venue": ["journal", "conference", "publication venue"],
    "manufacturer": ["maker", "brand", "producer", "publisher", "vendor"],
    "brand": ["manufacturer", "maker", "brand name"],
    "model number": ["model", "model no", "model code", "part number"],
    "ship weight": ["weight", "shipping weight"],
    "dimension": ["size", "measurement"],
    "price": ["priced", "cost"],
    "abstract": ["plot", "summary", "synopsis", "description", "storyline"],
    "runtime": ["running time", "duration"],
    "profession": ["occupation", "job", "job title"],
    "job": ["occupation", "profession", "job title", "role"],
    "birth": ["born"],
    "death": ["died", "deceased"],
    "release": ["released", "premiere", "aired"],
    "postcode": ["postal code", "zip code"],
    "address": ["street"],
}

_SORT_WORDS = {"number", "no", "list", "minutes", "code"}  # say what kind of value it is, not what it is about
_KIND_WORDS = {"year", "date"}  # what an explanation calls the attribute for short
_EMPTY_WORDS = {"primary", "main", "origin"}


def own_names(attribute: str) -> set[str]:
    """The attribute's name as written, in words, in the singular and without words such as "number", all in lower case."""
    spoken = words_of(attribute)
    spoken = RUN_TOGETHER.get(spoken, spoken)
    words = [_singular(word) for word in spoken.split()]
    found = {attribute.lower(), spoken, " ".join(words)}
    if len(words) > 1 and words[-1] in _SORT_WORDS:
        found.add(" ".join(words[:-1]))
    if len(words) > 1 and words[-1] in _KIND_WORDS:
        found.add(words[-1])
    if len(words) == 2 and words[0] in _EMPTY_WORDS:
        found.add(words[1])
    return {name for name in found if name}


def phrases(attribute: str) -> set[str]:
    """Everything that names this attribute: its own names and the synonyms of their words."""
    own = own_names(attribute)
    return own.union(*(others for word, others in SYNONYMS.items() if any(f" {word} " in f" {name} " for name in own)))


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


#: Where a text names attributes, and which.
Mention = tuple[int, list[str]]


class Vocabulary:
    """Finds the attributes of two tables in a text.

    words: the attributes' own names, singular and plural, as `quoted.quotes` wants them.
    """

    def __init__(self, attributes: tuple[str, ...]):
        own = {words_of(name) for attribute in attributes for name in own_names(attribute)}
        self.words = frozenset(own | {f"{name}s" for name in own})
        spellings: dict[str, str] = {}
        self._named: dict[str, list[str]] = {}
        for attribute in dict.fromkeys(attributes):
            for phrase in sorted(phrases(attribute)):
                spellings.setdefault(_joined(phrase), phrase)
                found = self._named.setdefault(_joined(phrase), [])
                found += [attribute] if attribute not in found else []
        longest_first = sorted(spellings.values(), key=len, reverse=True)
        choices = "|".join(r"[\s_-]*".join(map(re.escape, re.split(r"[\s_-]+", phrase))) for phrase in longest_first)
        self._pattern = re.compile(rf"(?<![a-z])({choices or '(?!)'})(?:s|'s|s')?(?![a-z])")

    def mentions(self, text: str) -> list[Mention]:
        """Where the text names attributes, and which: several when the word is common to them ("year")."""
        lowered = straight(text).lower()
        return [(m.start(), self._named[_joined(m[1])]) for m in self._pattern.finditer(lowered)]


def _joined(phrase: str) -> str:
    return re.sub(r"[\s_-]+", "", phrase)


@lru_cache(maxsize=64)
def vocabulary(attributes: tuple[str, ...]) -> Vocabulary:
    """The vocabulary of these attributes (of both tables)."""
    return Vocabulary(attributes)
