"""CITATION.cff follows the Citation File Format 1.2.0, as far as it goes."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import distiller

ROOT = Path(__file__).parents[1]
#: Of the schema of version 1.2.0: what must be there, what may be.
REQUIRED = {"authors", "cff-version", "message", "title"}
ALLOWED = REQUIRED | {
    *("abstract", "commit", "contact", "date-released", "doi", "identifiers", "keywords", "license", "license-url"),
    *(
        "preferred-citation",
        "references",
        "repository",
        "repository-artifact",
        "repository-code",
        "type",
        "url",
        "version",
    ),
}
PERSON = {"address", "affiliation", "alias", "city", "country", "email", "family-names", "fax", "given-names"}
PERSON |= {"name-particle", "name-suffix", "orcid", "post-code", "region", "tel", "website"}
ENTITY = {"address", "alias", "city", "country", "date-end", "date-start", "email", "fax", "location", "name", "orcid"}
ENTITY |= {"post-code", "region", "tel", "website"}


@pytest.fixture(scope="module")
def citation() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def named(who: dict[str, Any]) -> bool:
    """Whether this is a person or an entity of the schema."""
    return set(who) <= (ENTITY if "name" in who else PERSON) and bool(who)


def test_the_citation_has_the_keys_of_its_schema_and_no_others(citation: dict[str, Any]) -> None:
    assert REQUIRED <= set(citation) <= ALLOWED
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] in {"software", "dataset"}
    assert all(isinstance(citation[key], str) and citation[key] for key in ("message", "title"))
    assert citation["authors"]
    assert all(named(who) for who in citation["authors"])
    assert len(citation["keywords"]) == len(set(citation["keywords"])) > 0
    assert all(isinstance(word, str) for word in citation["keywords"])


def test_every_reference_has_a_type_a_title_authors_and_identifiers_of_a_known_kind(citation: dict[str, Any]) -> None:
    assert citation["references"]
    for reference in citation["references"]:
        assert {"type", "title", "authors"} <= set(reference)
        assert reference["type"] == "article"
        assert reference["authors"]
        assert all(named(who) for who in reference["authors"])
        assert isinstance(reference["year"], int)
        for each in reference["identifiers"]:
            assert {"type", "value"} <= set(each) <= {"type", "value", "description"}
            assert each["type"] in {"doi", "url", "swh", "other"}
            assert each["value"]


def test_it_cites_this_version_under_its_licence_and_the_paper_that_the_readme_names(citation: dict[str, Any]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["version"] == project["version"] == distiller.__version__
    assert citation["license"] == project["license"]
    known = re.findall(r"\d{4}\.\d{5}", (ROOT / "README.md").read_text(encoding="utf-8"))
    values = [each["value"] for reference in citation["references"] for each in reference["identifiers"]]
    assert set(known) == {value.removeprefix("arXiv:") for value in values}
