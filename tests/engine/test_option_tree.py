"""Options as one tree: nothing is lost, nothing is read twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distiller.engine.option_tree import OptionTree, common_beginning, distinguishing, split_after_prompt

END = 99
words = st.lists(st.integers(0, 3), min_size=1, max_size=5).map(tuple)
prompts = st.lists(st.integers(0, 3), min_size=1, max_size=6)


def prefix_free(sequences):
    """Those of the sequences that no other one begins."""
    return [s for s in sequences if not any(s[: len(o)] == o for o in sequences if o != s)]


option_sets = st.lists(words, min_size=1, max_size=12, unique=True).map(prefix_free)


@given(option_sets)
def test_each_option_is_spelled_out_along_its_own_ancestors(options):
    tree = OptionTree.of(options)
    ways = tree.ancestors()
    assert len(tree.steps) == len(options)
    for option, steps in zip(options, tree.steps, strict=True):
        assert [token for _, token in steps] == list(option)
        for depth, (node, _) in enumerate(steps):
            read = [tree.tokens[n - 1] for n in ways[node - 1]] if node else []
            assert read == list(option[:depth])


@given(option_sets)
def test_a_model_reads_every_shared_beginning_once_and_no_last_token(options):
    tree = OptionTree.of(options)
    beginnings = {option[:depth] for option in options for depth in range(1, len(option))}
    assert len(tree.tokens) == len(tree.parents) == len(tree.depths) == len(beginnings)
    spelled = {tuple(tree.tokens[n - 1] for n in way) for way in tree.ancestors()}
    assert spelled == beginnings
    for node, (parent, depth) in enumerate(zip(tree.parents, tree.depths, strict=True), start=1):
        assert parent < node
        assert depth == len(tree.ancestors()[node - 1])


@pytest.mark.parametrize("options", [[(1, 2), (1,)], [(1,), (1,)], [()], [(1, 2), (1, 2, 3)]])
def test_an_option_that_begins_another_is_refused(options):
    with pytest.raises(ValueError, match="none, or the beginning of another"):
        OptionTree.of(options)


@given(st.lists(st.lists(st.integers(0, 2), max_size=5), min_size=1, max_size=5))
def test_common_beginning_agrees_with_trying_every_length(sequences):
    lengths = [n for n in range(min(map(len, sequences)) + 1) if len({tuple(s[:n]) for s in sequences}) == 1]
    assert common_beginning(sequences) == max(lengths)


@given(prompts, st.lists(words, min_size=1, max_size=6, unique=True), st.integers(0, 3))
def test_prompt_and_options_make_the_whole_text_and_exclude_each_other(prompt, options, melted):
    """`melted` tokens at the end of the prompt become one other token together with the option's first."""
    begin = prompt[: max(1, len(prompt) - melted)]
    wholes = [[*begin, *option] if melted else [*prompt, *option] for option in options]
    kept, after = split_after_prompt(prompt, wholes, END)
    assert 1 <= kept <= len(prompt)
    for whole, tokens in zip(wholes, after, strict=True):
        spelled = [*prompt[:kept], *tokens]
        assert spelled in (whole, [*whole, END])
    lengths = {len(tokens) - len(whole) + kept for whole, tokens in zip(wholes, after, strict=True)}
    assert len(lengths) == 1, "the end of the turn follows all options or none"
    OptionTree.of(after)  # raises unless prefix-free


def test_the_end_of_the_turn_tells_1_from_10_and_an_empty_option_from_others():
    assert split_after_prompt([7], [[7, 1], [7, 1, 0], [7, 2]], END) == (1, [[1, END], [1, 0, END], [2, END]])
    assert split_after_prompt([7], [[7], [7, 1]], END) == (1, [[END], [1, END]])
    assert split_after_prompt([7], [[7, 1, 8], [7, 1, 0, 8]], END) == (1, [[1, 8], [1, 0, 8]])


def test_a_token_that_melts_into_an_option_belongs_to_all_options():
    assert split_after_prompt([5, 7], [[5, 71], [5, 7, 2]], END) == (1, [[71], [7, 2]])


def test_options_that_cannot_be_told_apart_are_refused():
    with pytest.raises(ValueError, match="two options are the same"):
        split_after_prompt([7], [[7, 1], [7, 1]], END)
    with pytest.raises(ValueError, match="no token of its own"):
        split_after_prompt([7], [[8, 1], [9, 1]], END)


@given(option_sets)
def test_the_distinguishing_beginning_is_the_shortest_that_no_other_option_has(options):
    for option, beginning in zip(options, distinguishing(options), strict=True):
        own = [i for i in range(1, len(option) + 1) if [other[:i] for other in options].count(option[:i]) == 1]
        assert beginning == list(option[: min(own)])
