"""Selections recorded with a dataset."""

import dataclasses

import numpy as np
import pytest
from pydantic import ValidationError
from toy import DATASETS, ids, needs_data, pool_of, real_task, split, task_of

from distiller.config import DistillerError
from distiller.protocol.fixed import Fixed
from distiller.selector.recorded import Recorded

LISTS = {q: [0.5, 0.25] for q in range(6)}


def with_split(folder, text, name="mine"):
    (folder / "splits").mkdir(exist_ok=True)
    (folder / "splits" / f"{name}.csv").write_text(text)
    return task_of(LISTS, folder=folder)


@needs_data
@pytest.mark.parametrize("name", DATASETS)
def test_every_recorded_split_selects_its_training_queries(name):
    task, _ = real_task(name)
    for strategy in (
        "blocking_max",
        "blocking_top2",
        "clustering_kmeans",
        "clustering_hierarchical",
        "random",
        "sampled",
    ):
        assert ids(Recorded(name=strategy).select(task, pool_of(task))) == split(name, strategy)


def test_the_order_of_the_lines_does_not_matter(tmp_path):
    task = with_split(tmp_path, "part,query_id\ntrain,4\ntest,2\nunused,3\ntrain,1\n")
    assert ids(Recorded(name="mine").select(task, pool_of(task))) == [1, 4]


def test_there_is_no_budget_and_no_seed_to_set():
    assert [field.name for field in dataclasses.fields(Recorded)] == ["name"]
    for fields in ({"budget": 0.1}, {"seed": 1}):
        with pytest.raises(ValidationError, match="Unexpected keyword"):
            Recorded(**fields)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "query_id,part\n1,train\n9,train\n",
            r"1 of the 2 training queries of the split mine of toy have no candidates",
        ),
        ("query_id,part\n1,training\n", r"has parts \['training'\]; parts are train, test and unused"),
        ("query_id,part\n1,test\n", "has no query of part train"),
        ("query_id\n1\n", "cannot be read: .*part.*; it needs the columns query_id, part"),
        ("query_id,part\nx,train\n", "cannot be read: .*'x'"),
        ("query_id,part\n,train\n", "has 1 lines without a query_id"),
    ],
)
def test_faults_of_the_file_are_one_sentence(tmp_path, text, message):
    task = with_split(tmp_path, text)
    with pytest.raises(DistillerError, match=message) as fault:
        Recorded(name="mine").select(task, pool_of(task))
    assert "\n" not in str(fault.value)


def test_an_unknown_split_is_named_with_the_nearest_known_one(tmp_path):
    with_split(tmp_path, "", name="blocking_max")
    with pytest.raises(DistillerError, match=r"selector.name=blocking-max; did you mean 'blocking_max'\?"):
        Recorded(name="blocking-max").reads(tmp_path)
    assert Recorded().reads(tmp_path) == [tmp_path / "splits" / "blocking_max.csv"]


def test_a_dataset_without_recorded_parts_is_an_error():
    with pytest.raises(DistillerError, match="needs a dataset that comes with recorded splits"):
        Recorded().reads(None)


def test_queries_that_a_protocol_set_aside_are_not_labelled(tmp_path):
    task = with_split(tmp_path, "query_id,part\n" + "".join(f"{q},train\n" for q in LISTS))
    pool = Fixed().pool(np.array(sorted(LISTS)))
    with pytest.raises(DistillerError, match=r"set aside for the test.* protocol=paper"):
        Recorded(name="mine").select(task, pool)
