"""The synthetic dataset: the same on every run, gold one to one, the damage asked for, siblings that do not match."""

import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from rapidfuzz import fuzz
from rapidfuzz.distance import DamerauLevenshtein

from distiller.config import ConfigurationError, DistillerError, build
from distiller.dataset.synthetic import Synthetic
from distiller.dataset.synthetic_damage import KINDS, NEIGHBOURS, abbreviated, typo
from distiller.dataset.synthetic_order import Permutation
from distiller.dataset.synthetic_products import entity, row
from distiller.dataset.synthetic_units import UNITS, usual_unit, written

DOMAINS = ("products", "people", "publications")
EVERY = (*DOMAINS, "mixed")
SIDES = ("queries", "candidates")
DIGEST = "a4ff6967a49e5534"


def whole(dataset: Synthetic, side: Any, size: int = 65_536) -> pa.Table:
    return pa.Table.from_batches(dataset.batches(side, size), dataset.schema(side))


def words(table: pa.Table) -> list[tuple[str, ...]]:
    """All words and numbers of each record, sorted, whatever the attribute they stand in."""
    columns = [table[name].to_pylist() for name in table.column_names if name != "id"]
    texts = (" ".join(value for value in values if value).lower() for values in zip(*columns, strict=True))
    return [tuple(sorted(re.findall(r"\w+", text))) for text in texts]


def matches_of(dataset: Synthetic) -> dict[int, int]:
    table = pa.Table.from_batches(dataset.match_batches())
    return dict(zip(table["query_id"].to_pylist(), table["candidate_id"].to_pylist(), strict=True))


# Sizes, ids, gold


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    queries=st.integers(1, 60),
    candidates=st.integers(1, 90),
    share=st.floats(0, 1),
    domain=st.sampled_from(EVERY),
    seed=st.integers(0, 2**70),
    missing=st.floats(0, 1),
)
def test_tables_have_the_sizes_asked_for_and_gold_is_one_to_one(queries, candidates, share, domain, seed, missing):
    share = min(share, candidates / queries)
    wanted = round(share * queries)
    if wanted > candidates:
        return
    records = Synthetic(
        domain=domain, queries=queries, candidates=candidates, match_share=share, seed=seed, missing=missing
    ).load()
    assert records.query_ids.tolist() == list(range(queries))
    assert records.candidate_ids.tolist() == list(range(candidates))
    assert records.matches is not None
    assert records.matches.num_rows == wanted
    for column in ("query_id", "candidate_id"):
        assert len(set(records.matches[column].to_pylist())) == wanted


@pytest.mark.parametrize("domain", EVERY)
def test_no_record_is_empty_and_all_text_is_valid_utf8(domain):
    records = Synthetic(domain=domain, damage=1, missing=0.9, queries=600, candidates=600).load()
    for table in (records.queries, records.candidates):
        table.validate(full=True)
        first = table.column_names[1]
        assert table[first].null_count == 0
        for name in table.column_names[1:]:
            for value in table[name].to_pylist():
                assert value is None or (value.strip() and value.isprintable() and value.encode().decode() == value)


def test_the_two_tables_share_no_attribute_names_but_the_title_of_publications():
    for domain in EVERY:
        dataset = Synthetic(domain=domain)
        shared = set(dataset.schema("queries").names) & set(dataset.schema("candidates").names)
        assert shared == ({"id", "title"} if domain == "publications" else {"id"})


def test_more_matches_than_candidates_is_one_clear_sentence():
    with pytest.raises(DistillerError, match=r"90 of 100 queries .* 50 candidates; lower dataset.match_share"):
        Synthetic(queries=100, candidates=50, match_share=0.9)
    node = {"dataset": {"_target_": "distiller.dataset.synthetic.Synthetic", "domain": "movies", "damage": 2}}
    with pytest.raises(ConfigurationError, match=r"(?s)dataset.domain: .*'products'.*dataset.damage: .*got 2"):
        build(OmegaConf.create(node))


# Determinism


@settings(max_examples=20, deadline=None, derandomize=True)
@given(size=st.integers(1, 700), domain=st.sampled_from(EVERY), side=st.sampled_from(SIDES))
def test_records_do_not_depend_on_the_size_of_the_batches(size, domain, side):
    dataset = Synthetic(domain=domain, queries=300, candidates=400, seed=5)
    batches = list(dataset.batches(side, size))
    assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    assert pa.Table.from_batches(batches).equals(whole(dataset, side))


def test_the_same_records_come_out_in_every_process_and_on_every_supported_python():
    code = """
from distiller.dataset.synthetic import Synthetic
print(Synthetic(queries=200, candidates=300, seed=11).load().key)
"""
    keys = {subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)}
    assert keys == {f"{Synthetic(queries=200, candidates=300, seed=11).load().key}\n".encode()}
    # Written down so that a change of the records is noticed: then raise Synthetic.VERSION and write the new one down.
    tables = [whole(Synthetic(queries=200, candidates=300, seed=11), side).to_pylist() for side in SIDES]
    assert hashlib.sha256(json.dumps(tables).encode()).hexdigest()[:16] == DIGEST


def test_another_seed_gives_other_records_and_other_matches():
    first, second = (Synthetic(seed=seed).load() for seed in (1, 2))
    for side in ("queries", "candidates"):
        rows = [set(words(getattr(records, side))) for records in (first, second)]
        assert len(rows[0] & rows[1]) < 5
    pairs = [set(matches_of(Synthetic(seed=seed)).items()) for seed in (1, 2)]
    assert len(pairs[0] & pairs[1]) < 10


def test_row_numbers_tell_nothing_about_matches():
    matches = matches_of(Synthetic(queries=20_000, candidates=30_000, match_share=0.5))
    rows = np.array(list(matches.items()))
    assert abs(np.corrcoef(rows.T)[0, 1]) < 0.03
    has_match = np.isin(np.arange(20_000), rows[:, 0])
    assert all(0.45 < half.mean() < 0.55 for half in np.split(has_match, 4))
    assert 0.22 < (rows[:, 1] < 7_500).mean() < 0.28


@settings(max_examples=60, deadline=None, derandomize=True)
@given(size=st.integers(1, 3000), seed=st.integers(0, 2**80), purpose=st.integers(0, 100))
def test_a_permutation_reaches_every_number_once_and_leads_back(size, seed, purpose):
    order = Permutation(size, seed, purpose)
    there = order.forward(np.arange(size))
    assert sorted(there.tolist()) == list(range(size))
    assert order.backward(there).tolist() == list(range(size))
    assert order.forward(np.array([size // 2])).tolist() == [there[size // 2]]


# Matches, near-duplicates


@pytest.mark.parametrize("domain", EVERY)
@pytest.mark.parametrize("near_duplicates", [0.0, 1.0])
def test_without_damage_a_query_has_the_words_of_its_match_and_of_no_other_candidate(domain, near_duplicates):
    dataset = Synthetic(
        domain=domain, damage=0, missing=0, near_duplicates=near_duplicates, queries=4000, candidates=5000, seed=3
    )
    owners: dict[tuple[str, ...], list[int]] = {}
    for candidate, content in enumerate(words(whole(dataset, "candidates"))):
        owners.setdefault(content, []).append(candidate)
    matches = matches_of(dataset)
    for query, content in enumerate(words(whole(dataset, "queries"))):
        assert owners.get(content, []) == ([matches[query]] if query in matches else [])


@pytest.mark.parametrize("domain", DOMAINS)
def test_near_duplicates_are_no_matches_yet_closer_than_records_drawn_at_random(domain):
    dataset = Synthetic(domain=domain, queries=1500, candidates=1500, near_duplicates=1, seed=8)
    matches = matches_of(dataset)
    query_family, family = dataset.families("queries"), dataset.families("candidates")
    assert all(query_family[query] == family[candidate] for query, candidate in matches.items())
    texts = {side: [" ".join(content) for content in words(whole(dataset, side))] for side in SIDES}
    draw = np.random.default_rng(0)
    near, far, same = [], [], []
    for query in range(400):
        siblings = np.flatnonzero(family == query_family[query])
        others = siblings[siblings != matches.get(query, -1)]
        near += [fuzz.token_sort_ratio(texts["queries"][query], texts["candidates"][other]) for other in others[:2]]
        far.append(fuzz.token_sort_ratio(texts["queries"][query], texts["candidates"][draw.integers(1500)]))
        if query in matches:
            same.append(fuzz.token_sort_ratio(texts["queries"][query], texts["candidates"][matches[query]]))
    assert np.mean(far) + 10 < np.mean(near) < np.mean(same)
    assert np.quantile(near, 0.9) > np.quantile(same, 0.3)  # some siblings look more alike than some matches


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_the_share_of_records_with_siblings_is_the_one_asked_for(share):
    dataset = Synthetic(near_duplicates=share, queries=20_000, candidates=30_000, match_share=0.5)
    families = np.concatenate([dataset.families("candidates"), dataset.families("queries")])
    # A thing in both tables is no sibling of itself: count things, not records.
    matched = sorted(matches_of(dataset).values())
    things = Counter(families.tolist())
    things.subtract(families[: dataset.candidates][matched].tolist())
    sizes = np.array([things[family] for family in families.tolist()])
    assert (sizes > 1).mean() == pytest.approx(share, abs=0.05)
    assert sizes.max() <= 24


def test_a_plain_cosine_threshold_is_often_wrong_on_the_default():
    from sklearn.feature_extraction.text import TfidfVectorizer

    records = Synthetic().load()
    assert records.matches is not None
    texts = [[" ".join(content) for content in words(table)] for table in (records.queries, records.candidates)]
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4), sublinear_tf=True).fit(texts[0] + texts[1])
    similarity = (vectors.transform(texts[0]) @ vectors.transform(texts[1]).T).toarray()
    gold = np.full(len(similarity), -1)
    gold[records.matches["query_id"].to_numpy()] = records.matches["candidate_id"].to_numpy()
    matched = gold >= 0
    rank = (similarity[matched] > similarity[matched, gold[matched]][:, None]).sum(1)
    assert 0.94 < (rank < 10).mean() < 1
    assert 0.6 < (rank == 0).mean() < 0.9
    best, top = similarity.argmax(1), similarity.max(1)
    accuracy = max((np.where(top >= threshold, best, -1) == gold).mean() for threshold in np.linspace(0, 1, 51))
    assert accuracy < 0.8


# Damage


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("side", SIDES)
def test_a_record_is_damaged_where_damage_is_reported_and_nowhere_else(domain, side):
    options: dict[str, Any] = {"domain": domain, "queries": 1500, "candidates": 1500, "seed": 4}
    damaged, clean = Synthetic(**options, damage=0.3), Synthetic(**options, damage=0, missing=0)
    reported = damaged.damages(side)
    changed = [a != b for a, b in zip(whole(damaged, side).to_pylist(), whole(clean, side).to_pylist(), strict=True)]
    assert not any(change for change, kinds in zip(changed, reported, strict=True) if not kinds)
    assert np.mean([change for change, kinds in zip(changed, reported, strict=True) if kinds]) > 0.97
    assert 50 < sum(not kinds for kinds in reported) < 1450


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_kind_of_damage_grows_with_damage_and_missing_grows_with_missing(domain):
    def rates(**options: float) -> Counter[str]:
        dataset = Synthetic(domain=domain, queries=2500, candidates=2500, **options)
        return Counter(kind for side in SIDES for kinds in dataset.damages(side) for kind in kinds)

    none, light, heavy = rates(damage=0, missing=0), rates(damage=0.2, missing=0.1), rates(damage=0.8, missing=0.4)
    absent = {
        "products": {"change"},
        "people": {"noise", "unit", "synonym"},
        "publications": {"unit", "synonym", "change"},
    }
    assert not none
    for kind in set(KINDS) - absent[domain]:
        assert 20 < light[kind] < heavy[kind] / 1.5, kind
    assert set(heavy) == set(KINDS) - absent[domain]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(word=st.text("abcdefghijklmnopqrstuvwxyzABC0123456789-", min_size=1, max_size=12), seed=st.integers(0, 2**32))
def test_a_typo_is_one_slip_of_the_finger(word, seed):
    assert DamerauLevenshtein.distance(word, typo(word, Random(seed).random)) <= 1
    assert typo(word, Random(seed).random)


def test_neighbouring_keys_are_next_to_each_other_and_neighbourhood_is_mutual():
    rows = ["1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm"]
    place = {key: (number, column) for number, keys in enumerate(rows) for column, key in enumerate(keys)}
    for key, near in NEIGHBOURS.items():
        assert near
        for other in near:
            assert max(abs(a - b) for a, b in zip(place[key], place[other], strict=True)) == 1
            assert key in NEIGHBOURS[other]
            assert key.isdigit() == other.isdigit()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(word=st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=14), seed=st.integers(0, 2**32))
def test_an_abbreviation_is_the_beginning_of_the_word(word, seed):
    short = abbreviated(word, Random(seed).random)
    assert short == word or word in ("and", "with", "for", "without") or word.startswith(short.rstrip("."))
    assert len(short) <= len(word)


def test_changed_units_say_the_same_amount():
    in_grams_and_so_on = {
        "GB": 1, "MB": 1 / 1024, "TB": 1024, "MHz": 1, "GHz": 1000, "inch": 2.54, '"': 2.54, "inches": 2.54, "cm": 1,
        "mm": 0.1, "m": 100, "g": 1, "kg": 1000, "oz": 28.35, "ml": 1, "l": 1000, "fl oz": 29.57, "W": 1, "kW": 1000,
        "mAh": 1, "Ah": 1000, "pack": 1, "pcs": 1, "pk": 1, "Hz": 1,
    }  # fmt: skip

    def amounts(text: str) -> list[float]:
        found = [re.fullmatch(r"([\d.]+) ?(.+)", part) for part in text.split(", ")]
        return [float(m[1]) * in_grams_and_so_on[m[2]] for m in found if m and m[2] in in_grams_and_so_on]

    changes = 0
    for family in range(600):
        plain, done = (row(entity(0, 0, 1, Random(family).random), True, 0, Random(1).random, []), [])
        other = row(entity(0, 0, 1, Random(family).random), True, 1, Random(family).random, done)
        assert amounts(other[2] or "") == pytest.approx(amounts(plain[2] or ""), rel=0.012)
        changes += "unit" in done and other[2] != plain[2]
    assert changes > 200


def test_usual_units_are_the_ones_on_the_shelf():
    usual = {("weight", 500): "500 g", ("weight", 1500): "1.5 kg", ("memory", 16): "16 GB", ("memory", 2048): "2 TB"}
    for (kind, amount), text in usual.items():
        assert written(kind, amount, usual_unit(kind, amount)) == text
    assert written("weight", 500, 1) == "0.5 kg"
    assert written("memory", 16, 1) == "16384 MB"
    assert all(units[0][1] == 1 for kind, units in UNITS.items())


# Size


def test_batches_of_a_table_of_many_millions_fit_into_little_memory():
    code = """
import resource
from distiller.dataset.synthetic import Synthetic
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
dataset = Synthetic(domain="people", queries=20_000_000, candidates=30_000_000)
rows = next(dataset.batches("queries", 1000)).num_rows
print(peak())
for _, batch in zip(range(2), dataset.batches("candidates", 100_000)):
    rows += batch.num_rows
    print(peak())
print(rows)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    start, first, second, rows = map(int, ran.stdout.split())
    assert rows == 201_000
    assert first - start < 120, f"one batch of 100,000 records needs {first - start} MiB"
    assert second - first < 60, f"the second batch adds {second - first} MiB"
