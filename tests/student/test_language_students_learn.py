"""A tiny Llama learns a small task from scratch by every algorithm, judged on queries that nobody taught."""

import shutil
from functools import cache

import numpy as np
import pytest
from student.toy_school import checkpoint, fresh, student, task

from distiller.algorithm.dpo import DPO
from distiller.algorithm.grpo import GRPO
from distiller.algorithm.kd import KD
from distiller.algorithm.sft import SFT
from distiller.artifacts import AnswerSet, Checkpoint
from distiller.trainer import Trainer

pytestmark = pytest.mark.filterwarnings("ignore")
QUERIES, TAUGHT = 200, 150


@cache
def school():
    """The task, right answers to the queries that are taught, and to those that are not; the answers are in the store."""
    own, answers = task(QUERIES)
    ids = own.candidates.query_ids
    taught = own.store.produce(AnswerSet, [], ["taught"], lambda: answers.of(ids[:TAUGHT]))
    return own, taught, answers.of(ids[TAUGHT:])


@cache
def start():
    return str(checkpoint())


def taught(algorithm, epochs, answers=None):
    """Facts of the training, the share of right answers to unseen queries, and that of always answering none."""
    own, right, unseen = school()
    learner, folder = student(start(), epochs=epochs), fresh()
    facts = algorithm.distil(learner, [(own, answers or right)], Trainer(), 2, folder)
    given = learner.answer(Checkpoint(folder, facts=facts), own, unseen.query_ids, Trainer(), 2)
    accuracy = float((given.chosen_ids == unseen.chosen_ids).mean())
    return facts, accuracy, float((unseen.choice == 0).mean())


def test_supervised_training_answers_unseen_queries_far_better_than_always_none():
    facts, accuracy, none = taught(SFT(), 10)
    losses = [loss for _, _, loss in facts["curve"]]
    assert losses[-1] < losses[0] / 10
    assert accuracy > none + 0.4


def test_distilling_a_distribution_does_too():
    _, right, _ = school()
    soft = 0.85 * np.eye(4)[right.choice] + 0.15 / 4
    unsure = AnswerSet.make("unsure", right.query_ids, right.option_ids, right.offsets, right.choice, soft.reshape(-1))
    facts, accuracy, none = taught(KD(), 10, unsure)
    losses = [loss for _, _, loss in facts["curve"]]
    assert losses[-1] < losses[0] / 10
    assert accuracy > none + 0.4


@pytest.mark.parametrize(
    "algorithm",
    [
        DPO(warm_start=SFT(), learning_rate=1e-3, epochs=3, anchor=1.0),
        GRPO(warm_start=SFT(), learning_rate=1e-3, epochs=3, beta=0.01),
    ],
    ids=["dpo", "grpo"],
)
def test_preferences_and_rewards_go_on_from_a_supervised_start_that_is_shared(algorithm):
    own, right, _ = school()
    learner = student(start(), epochs=6)
    before = SFT().taught(learner, [(own, right)], Trainer(), 2)
    facts, accuracy, none = taught(algorithm, 6)
    assert facts["warm_start"] == before.key
    unseen = [loss for _, _, loss in facts["curve"]]
    assert min(unseen) < unseen[0] - 0.02
    if isinstance(algorithm, GRPO):
        assert facts["rewards"][-1] > facts["rewards"][0] + 0.01
    assert accuracy >= none - 0.1


def test_a_start_that_changed_in_its_folder_is_taught_anew(tmp_path):
    own, right, _ = school()
    model = shutil.copytree(start(), tmp_path / "model")
    learner = student(model, epochs=1)
    few = [(own, right.of(right.query_ids[:12]))]
    first = SFT().taught(learner, few, Trainer(), 2)
    assert SFT().taught(learner, few, Trainer(), 2).reused
    (model / "note.txt").write_text("trained further")
    again = SFT().taught(learner, few, Trainer(), 2)
    assert not again.reused
    assert again.key != first.key
