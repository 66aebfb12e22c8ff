"""Encoder students learn: more than to abstain, calibrated, soft labels as they are, every query once in an epoch."""

import numpy as np
import pytest
from student.encoder_world import ARCHITECTURES, tiny

from distiller.algorithm.sft import SFT
from distiller.artifacts import AnswerSet, Checkpoint
from distiller.student.base import Lesson
from distiller.trainer import Trainer

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("objective", ["listwise", "pairwise"])
@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_a_tiny_encoder_learns_more_than_to_abstain(school, world, checkpoints, kind, objective):
    student = tiny(checkpoints[kind], objective=objective)
    answers = school.ask(student, queries=world.unseen)
    right = np.array([world.right[q] for q in world.unseen.tolist()])
    assert (answers.choice == right).mean() > (right == 0).mean() + 0.2
    losses = [loss for _, loss, _ in school.teach(student).facts["curve"]]
    assert losses[-1] < losses[0]


def test_answers_are_calibrated_on_answers_that_were_held_out(school, checkpoints):
    facts = school.teach(tiny(checkpoints["bert"])).facts
    assert facts["queries"] == 150
    assert facts["held_out"] == round(0.15 * 150)
    assert facts["scale"] > 0
    assert 0.5 < facts["held_out_agreement"] <= 1


def test_soft_answers_are_learnt_as_they_are(world, checkpoints, tmp_path):
    hard = world.answers(world.taught)
    distribution = np.where(
        hard.distribution > 0, 0.6, 0.4 / np.repeat(np.diff(hard.offsets), np.diff(hard.offsets) + 1)
    )
    soft = AnswerSet.make("soft", hard.query_ids, hard.option_ids, hard.offsets, hard.choice, distribution)
    student, sure = tiny(checkpoints["bert"]), []
    for labels in ("hard", "soft"):
        folder = tmp_path / labels
        folder.mkdir()
        SFT(labels=labels).distil(student, [(world.task, soft)], Trainer(), 2, folder)
        answers = student.answer(Checkpoint(folder), world.task, world.unseen, Trainer(), 2)
        sure.append(np.mean([max(row) for row in answers.table["distribution"].to_pylist()]))
    assert sure[1] < sure[0]
    assert sure[1] < 0.75


def test_every_learnt_query_is_in_every_epoch_once_in_an_order_of_seed_and_epoch_alone(world, checkpoints):
    lesson = Lesson.of(world.task, world.answers(world.taught), soft=False)
    classroom = tiny(checkpoints["bert"], batch_size=7).classroom([lesson], Trainer(), 1)

    def told(epoch):
        return [
            batch["target"].numpy().tobytes() + batch["tokens"].numpy().tobytes() for batch in classroom.batches(epoch)
        ]

    epochs = [classroom.batches(epoch) for epoch in (0, 1)]
    learnt = len(world.taught) - round(0.15 * len(world.taught))
    for batches in epochs:
        assert sorted(np.concatenate(batches.groups).tolist()) == list(range(learnt))
        assert sum(len(batch["target"]) for batch in batches) == learnt
    assert told(0) == told(0) != told(1)
    assert sum(len(batch["target"]) for batch in classroom.validation()) == len(world.taught) - learnt
    assert classroom.steps == 15 * len(epochs[0])
