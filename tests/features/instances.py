"""Small random pairs of tables for tests of features."""

import numpy as np
import pyarrow as pa
from hypothesis import settings
from hypothesis import strategies as st

few = settings(deadline=None, derandomize=True, max_examples=15)  # one example takes a tenth of a second
WORDS = [
    "sony",
    "camera",
    "dsc",
    "w120",
    "dscw120",
    "the",
    "silver",
    "digital",
    "12",
    "4.5",
    "1999",
    "müller",
    "東京",
    "é",
    "ii",
]
values = st.one_of(
    st.none(),
    st.just(""),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join),
    st.text(alphabet="ab c-1,./é東", max_size=12),
)


def table(rows, names, first_id=0):
    """A table with ids counted from `first_id` and the given rows of attribute values."""
    columns = {"id": pa.array(range(first_id, first_id + len(rows)), pa.int64())}
    for i, name in enumerate(names):
        columns[name] = pa.array([row[i] for row in rows], pa.string())
    return pa.table(columns)


@st.composite
def instances(draw, names=("name", "description", "year"), other_names=None):
    """Two tables and the rows of some pairs, sorted by query."""
    sides = []
    for own in (names, other_names or names):
        row = st.tuples(*[values] * len(own))
        sides.append(table(draw(st.lists(row, min_size=1, max_size=7)), own, first_id=len(sides) * 100))
    everything = [(q, c) for q in range(sides[0].num_rows) for c in range(sides[1].num_rows)]
    pairs = sorted(draw(st.lists(st.sampled_from(everything), min_size=1, max_size=20, unique=True)))
    return sides[0], sides[1], np.array([q for q, _ in pairs]), np.array([c for _, c in pairs])
