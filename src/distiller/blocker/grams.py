"""Character n-grams of words as sparse TF-IDF vectors: what scikit-learn's `char_wb` gives, without a Python loop."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

BLANK = np.uint32(32)
# Odd and random: n-grams become polynomials in it modulo 2**64. Two of a million distinct n-grams share a code with
# a probability of about 3e-8, and codes, unlike numbers given in order of appearance, do not depend on row order.
BASE = np.uint64(0x9E3779B97F4A7C15)
ROWS_AT_ONCE = 2_000  # about what stays in a core's cache; larger parts took up to twice as long

_SPACES = np.array([c for c in range(0x3001) if chr(c).isspace()])
_IS_SPACE = np.zeros(0x3002, dtype=bool)
_IS_SPACE[_SPACES] = True


def tfidf(
    queries: pa.Array, candidates: pa.Array, sizes: tuple[int, int], threads: int = 1
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """TF-IDF vectors of both columns of texts over one vocabulary, [n_queries, n_grams] and [n_candidates, n_grams].

    sizes: the shortest (at least 2) and the longest n-gram in characters. N-grams lie within words that are padded with
    one blank on both sides; a padded word shorter than the shortest n-gram counts as one n-gram. Case is ignored.
    Weights are (1 + ln tf) * idf with idf = ln((1 + n) / (1 + df)) + 1 over the n records of both tables; rows have
    length 1, or 0 for a text without words. Columns are in an order that depends on the vocabulary only.
    """
    texts = pa.concat_arrays([queries, candidates])
    parts = [texts.slice(start, ROWS_AT_ONCE) for start in range(0, len(texts), ROWS_AT_ONCE)]
    with ThreadPoolExecutor(threads) as pool:
        counted = list(pool.map(lambda part: _counts(part, sizes), parts))
    vocabulary = np.unique(np.concatenate([codes for codes, *_ in counted]))
    columns = np.concatenate(
        [np.searchsorted(vocabulary, codes).astype(np.int32)[local] for codes, local, _, _ in counted]
    )
    weight = 1.0 + np.log(np.concatenate([count for _, _, count, _ in counted]))
    sizes_of_rows = np.concatenate([n_entries for *_, n_entries in counted])
    frequency = np.bincount(columns, minlength=len(vocabulary))
    weight *= (np.log((1.0 + len(texts)) / (1.0 + frequency)) + 1.0)[columns]
    rows = np.repeat(np.arange(len(texts)), sizes_of_rows)
    weight /= np.sqrt(np.bincount(rows, weights=weight**2, minlength=len(texts)))[rows]
    begins = np.r_[0, np.cumsum(sizes_of_rows)]
    matrix = sparse.csr_matrix((weight, columns, begins), shape=(len(texts), len(vocabulary)))
    return matrix[: len(queries)], matrix[len(queries) :]


def _counts(texts: pa.Array, sizes: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Ascending codes of the n-grams of some texts; per entry, row after row, its place in them and its count; entries
    per row."""
    letters, owner = _letters(texts)
    rows, codes = _grams(letters, owner, sizes)
    encoded = pa.array(codes).dictionary_encode()
    known = encoded.dictionary.to_numpy()
    order = np.argsort(known)
    place = np.empty(len(known), dtype=np.int64)
    place[order] = np.arange(len(known))
    width = max(len(known), 1)
    entries = np.sort(rows * width + place[encoded.indices.to_numpy()])
    first = np.flatnonzero(np.r_[True, entries[1:] != entries[:-1]]) if len(entries) else np.zeros(0, dtype=np.int64)
    distinct = entries[first]
    counts = np.diff(np.r_[first, len(entries)])
    return known[order], distinct % width, counts, np.bincount(distinct // width, minlength=len(texts))


def _letters(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Lower-case code points of all texts, one blank before, between and after their words, and the row of each."""
    lower = pc.utf8_lower(pc.fill_null(texts.cast(pa.large_string()), ""))
    padded = pc.binary_join_element_wise(lower, pa.scalar("", pa.large_string()), pa.scalar(" ", pa.large_string()))
    letters = np.frombuffer((" " + "".join(padded.to_pylist())).encode("utf-32-le"), dtype=np.uint32)
    owner = np.repeat(np.arange(len(padded)), pc.utf8_length(padded).to_numpy(zero_copy_only=False))
    owner = np.r_[0, owner]
    blank = _IS_SPACE[np.minimum(letters, len(_IS_SPACE) - 1)]
    # The first of a run of blanks is the one that ends a word, so it has the row of that word.
    keep = ~blank | np.r_[True, ~blank[:-1]]
    return np.where(blank, BLANK, letters)[keep], owner[keep]


def _grams(letters: np.ndarray, owner: np.ndarray, sizes: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Row and code of every n-gram, [n_grams] each."""
    shortest, longest = sizes
    word = letters != BLANK
    code = letters.astype(np.uint64)
    whole = np.ones(len(letters), dtype=bool)  # no blank strictly inside the window that begins here
    rows, codes = [], []
    for size in range(2, longest + 1):
        n = max(len(letters) - size + 1, 0)
        code = code[:n] * BASE + letters[size - 1 :]
        whole = whole[:n] & (word[size - 2 : size - 2 + n] if size > 2 else True)
        taken = whole if size >= shortest else whole & ~word[:n] & ~word[size - 1 :]
        rows.append(owner[1 : n + 1][taken])
        codes.append(code[taken])
    return np.concatenate(rows), np.concatenate(codes)
