"""Vectors of character n-grams, against scikit-learn's own."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from distiller.blocker import grams

texts = st.lists(
    st.text(st.sampled_from("abAB1é漢ß-., \t\n\u00a0\u3000"), max_size=30) | st.none(), min_size=1, max_size=12
)
sizes = st.tuples(st.integers(2, 6), st.integers(0, 4)).map(lambda s: (s[0], s[0] + s[1]))


def dense_cosines(queries, candidates, sizes):
    """The same numbers by scikit-learn, or None where there is no n-gram at all."""
    filled = [text or "" for text in queries + candidates]
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=sizes, sublinear_tf=True)
    try:
        matrix = vectorizer.fit_transform(filled).toarray()
    except ValueError:
        return None
    return matrix[: len(queries)] @ matrix[len(queries) :].T


@settings(deadline=None, derandomize=True, max_examples=150)
@given(texts, texts, sizes)
def test_cosines_are_those_of_scikit_learn_for_any_text(queries, candidates, sizes):
    a, b = grams.tfidf(pa.array(queries, pa.string()), pa.array(candidates, pa.string()), sizes, threads=2)
    expected = dense_cosines(queries, candidates, sizes)
    if expected is None:
        assert a.nnz == b.nnz == 0
    else:
        np.testing.assert_allclose((a @ b.T).toarray(), expected, atol=1e-12)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(texts, st.randoms(use_true_random=False))
def test_the_vector_of_a_text_does_not_depend_on_where_it_stands(lines, random):
    shuffled = list(range(len(lines)))
    random.shuffle(shuffled)
    one, _ = grams.tfidf(pa.array(lines, pa.string()), pa.array(lines, pa.string()), (3, 4))
    moved = [lines[i] for i in shuffled]
    other, _ = grams.tfidf(pa.array(moved, pa.string()), pa.array(lines, pa.string()), (3, 4))
    assert (one[shuffled] != other).nnz == 0


@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_how_many_rows_are_counted_at_once_changes_no_bit(rows, monkeypatch):
    words = ["Canon EOS 5D", "canon eos-5d mark II", "", "Nikon", "a b c d", "Nikon D90 kit 18-105"] * 5
    column = pa.array(words)
    expected = grams.tfidf(column, column[:7], (3, 4))
    monkeypatch.setattr(grams, "ROWS_AT_ONCE", rows)
    for one, other in zip(expected, grams.tfidf(column, column[:7], (3, 4), threads=2), strict=True):
        assert (one != other).nnz == 0
        assert np.array_equal(one.indices, other.indices)
