"""The order in which the candidates of a query are shown."""

import math
from functools import cache
from hashlib import blake2b
from typing import Literal

import numpy as np

Order = Literal["shown", "reference", "shuffled"]

REFERENCE_SEED = 1924


def orders(kind: Order, seed: int, query_id: int, candidate_ids: tuple[int, ...], count: int) -> list[tuple[int, ...]]:
    """`count` different orders of a query's candidates, or all there are if these are fewer.

    candidate_ids: distinct, in the order of the candidate set. The first order is that of `kind`:

    * `shown`: the candidate set's own.
    * `reference`: ascending ids, permuted in a way that depends on their number only, as the paper's prompts have it.
    * `shuffled`: at random; depends on the seed, the query and the ids of its candidates, on nothing else.

    The others are the rotations of the first, so that over k orders each of k candidates stands at each position once;
    after these, rotations of other random orders.
    """
    k = len(candidate_ids)
    if kind == "shown":
        first = candidate_ids
    elif kind == "reference":
        ascending = sorted(candidate_ids)
        first = tuple(ascending[place] for place in reference_permutation(k))
    else:
        first = _shuffled(seed, query_id, candidate_ids, 0)
    wanted = min(count, math.factorial(k))
    found: dict[tuple[int, ...], None] = {}
    draw = 0
    while len(found) < wanted:
        found.update(dict.fromkeys(first[turn:] + first[:turn] for turn in range(k)))
        draw += 1
        first = _shuffled(seed, query_id, candidate_ids, draw)
    return list(found)[:wanted]


@cache
def reference_permutation(n: int) -> tuple[int, ...]:
    """Which of n candidates with ascending ids stands first, second, ...

    Source: pandas' `sample(frac=1, random_state=1924)`, which the reference shuffles with.
    """
    return tuple(np.random.RandomState(REFERENCE_SEED).permutation(n).tolist())


def _shuffled(seed: int, query_id: int, candidate_ids: tuple[int, ...], draw: int) -> tuple[int, ...]:
    """An order that follows from hashes, so that no version of any library changes it."""

    def rank(candidate: int) -> bytes:
        return blake2b(f"{seed} {query_id} {draw} {candidate}".encode(), digest_size=16).digest()

    return tuple(sorted(candidate_ids, key=rank))
