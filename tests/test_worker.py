"""Students trained by several processes are those of one; a training that is killed goes on as if nothing had happened."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import psutil
import pytest
import torch
from safetensors.torch import load_file
from student.tiny_encoder import tiny_encoder
from student.toy_school import WORDS, checkpoint, fresh, student, task

from distiller.algorithm.dpo import DPO
from distiller.algorithm.grpo import GRPO
from distiller.algorithm.kd import KD
from distiller.algorithm.pauses import OUTCOME, PAUSE, kept
from distiller.algorithm.sft import SFT
from distiller.config import DistillerError
from distiller.dispatch import Request
from distiller.experiment import Experiment
from distiller.store import Store
from distiller.student.encoder import Encoder
from distiller.trainer import Trainer

pytestmark = pytest.mark.filterwarnings("ignore")
QUERIES = 23  # so that batches are of odd sizes, and one has a single row

#: Trains what each request asks for, one after the other, as rank N of two, without importing everything again each time.
RANKS = """
import sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
from distiller.dispatch import Request
from distiller.worker import train
for place in sys.argv[2:]:
    train(Request.read(Path(place)), int(sys.argv[1]))
"""


class School:
    """A task with right answers in a store of its own, and small students that learn it."""

    def __init__(self, queries: int = QUERIES):
        own, self.answers = task(queries)
        self.task = replace(own, store=Store(root=fresh()))
        self.llama = checkpoint(hidden=32, layers=2)

    def language(self, **fields):
        return student(self.llama, **{"epochs": 2, "batch_tokens": 700, **fields})

    def encoder(self, **fields):
        shape = {"longest": 24, "form": "plain", "attributes": ("name",), "learning_rate": 3e-3, "batch_size": 4}
        model = tiny_encoder(fresh() / "encoder", hidden=16, texts=[*WORDS, "genuine", "copy"] * 5)
        return Encoder(model=str(model), **{"epochs": 2, "dropout": 0.0, "inference": "float32", **shape, **fields})

    def taught(self, algorithm, learner, **trainer):
        """Weights that `taught` leaves in the store, and the checkpoint."""
        made = algorithm.taught(learner, [(self.task, self.answers)], Trainer(**trainer), 1)
        return load_file(next(made.folder.rglob("*.safetensors"))), made

    def teaching(self, algorithm, learner, trainer=Trainer()):  # noqa: B008 - frozen
        answered = [(self.task, self.answers)]
        start = algorithm.start(learner, answered, Trainer(), 1)
        return algorithm.teaching(learner, answered, trainer, 1, start)


def apart(ours, theirs):
    """The largest difference between weights of the same names."""
    assert ours.keys() == theirs.keys()
    return max(float((ours[name].float() - theirs[name].float()).abs().max()) for name in ours)


def cases(school):
    """Algorithm, student and strategy of trainings whose weights must not depend on the number of processes."""
    warm = {"warm_start": SFT(), "learning_rate": 1e-3, "epochs": 2}
    lora = {"rank": 4, "learning_rate": 1e-3}
    return {
        "sft of all weights, ddp": (SFT(), school.language(), "ddp"),
        "sft of an encoder, ddp": (SFT(), school.encoder(learning_rate=5e-4), "ddp"),
        "kd of an encoder, ddp": (KD(divergence="js"), school.encoder(objective="pairwise", learning_rate=5e-4), "ddp"),
        "dpo of an adapter, ddp": (DPO(**warm), school.language(**lora), "ddp"),
        "grpo of all weights, ddp": (GRPO(**warm, iterations=2), school.language(), "ddp"),
        "sft of all weights, fsdp": (SFT(), school.language(), "fsdp"),
        "dpo of an adapter, fsdp": (DPO(**warm), school.language(**lora, gradient_checkpointing=True), "fsdp"),
        "kd of an adapter on bfloat16, fsdp": (KD(), school.language(**lora, dtype="bfloat16"), "fsdp"),
    }


@pytest.fixture(scope="module")
def by_two(tmp_path_factory):
    """The school with what two processes that trained together, and one alone, made of each case."""
    school, made = School(), {}
    for name, (algorithm, learner, strategy) in cases(school).items():
        work = tmp_path_factory.mktemp("work")
        answered = [(school.task, school.answers)]
        start = algorithm.start(learner, answered, Trainer(), 1)
        trainer = Trainer(strategy=strategy, devices=2, save_seconds=None)
        request = Request(algorithm, learner, trainer, answered, start, 1, work, work)
        request.write()
        made[name] = request
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "NODE_RANK": "0"}
    places = [str(request.place) for request in made.values()]
    logs = [tmp_path_factory.mktemp("log") / f"{rank}" for rank in range(2)]
    ranks = []
    for rank, log in enumerate(logs):
        env = {**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        with open(log, "wb") as file:
            ranks.append(
                subprocess.Popen([sys.executable, "-c", RANKS, str(rank), *places], env=env, stderr=file, stdout=file)
            )
    codes = [process.wait(timeout=500) for process in ranks]
    assert codes == [0, 0], "\n".join(log.read_text()[-3000:] for log in logs)
    return school, made


@pytest.mark.parametrize(
    "case",
    [
        "sft of all weights, ddp",
        "sft of an encoder, ddp",
        "kd of an encoder, ddp",
        "dpo of an adapter, ddp",
        "grpo of all weights, ddp",
        "sft of all weights, fsdp",
        "dpo of an adapter, fsdp",
        "kd of an adapter on bfloat16, fsdp",
    ],
)
def test_two_processes_give_the_weights_of_one(by_two, case):
    from distiller.algorithm.lightning_fit import teach

    school, made = by_two
    request = made[case]
    found = kept(request.work, OUTCOME)["course"]
    alone = school.teaching(request.algorithm, request.student).course
    before = alone.weights()
    teach(alone, Trainer())
    assert apart(before, found["best"]) > 1e-3, "something was learnt"
    assert apart(alone.weights(), found["best"]) < (1e-5 if "bfloat16" not in case else 1e-3)
    assert np.allclose(alone.curve, found["curve"], atol=1e-4 if "bfloat16" not in case else 1e-2)
    assert alone.agreement == found["agreement"]


#: Trains in this process what a request asks for; kills itself at its third pause, or never.
ALONE = """
import os, signal, sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
from distiller.algorithm import pauses
from distiller.dispatch import Request
asked = Request.read(Path(sys.argv[1]))
kept, count = pauses.keep, 0
def keep(folder, name, content):
    global count
    kept(folder, name, content)
    count += 1
    if count == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
pauses.keep = keep
asked.algorithm.taught(asked.student, asked.answered, asked.trainer, 1)
"""


def killed_then_resumed(school, algorithm, learner, pauses):
    """Weights of a training in this process, begun in another that was killed at one of its pauses, and where it was."""
    trainer = Trainer(save_seconds=0)
    work = fresh()
    request = Request(algorithm, learner, trainer, [(school.task, school.answers)], None, 1, work, work)
    request.write()
    ran = subprocess.run(
        [sys.executable, "-c", ALONE, str(request.place), str(pauses)], stderr=subprocess.PIPE, timeout=300
    )
    assert ran.returncode == -signal.SIGKILL, ran.stderr.decode()
    (left,) = (school.task.store.root / "Training").glob(f"*/{PAUSE}")
    position = kept(left.parent, PAUSE)["position"]
    weights, made = school.taught(algorithm, learner, save_seconds=0)
    assert not made.reused
    assert not left.parent.exists(), "what a killed training left is gone once it is done"
    return weights, made, position


@pytest.mark.parametrize(("kind", "pauses"), [("encoder with dropout", 7), ("adapter with grpo", 4)])
def test_a_training_that_was_killed_ends_with_the_weights_of_an_undisturbed_one(kind, pauses):
    school = School()
    if kind == "adapter with grpo":
        algorithm, learner = GRPO(epochs=2, learning_rate=1e-3, iterations=2), school.language(rank=4, dropout=0.2)
    else:
        algorithm, learner = SFT(), school.encoder(dropout=0.3)
    weights, made, position = killed_then_resumed(school, algorithm, learner, pauses)
    assert position[2] > 0
    school.task = replace(school.task, store=Store(root=fresh()))
    undisturbed, whole = school.taught(algorithm, learner)
    assert apart(weights, undisturbed) == 0
    assert json.loads(json.dumps(made.facts)) == json.loads(json.dumps(whole.facts))


def test_a_damaged_pause_is_told_and_the_training_begins_anew(caplog, tmp_path):
    (tmp_path / PAUSE).write_bytes(b"PK\x03\x04 and nothing else")
    assert kept(tmp_path, PAUSE) is None
    assert "is damaged; the training begins anew" in caplog.text


def test_a_pause_that_holds_code_is_not_run(tmp_path, caplog):
    class Code:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "was-run"),))

    torch.save({"position": Code()}, tmp_path / PAUSE)
    assert kept(tmp_path, PAUSE) is None
    assert not (tmp_path / "was-run").exists()


def descendants():
    """Processes that this one started, and what they started."""
    return psutil.Process().children(recursive=True)


def ranks():
    """The processes that train, if they run."""
    return [p for p in descendants() if "--rank" in _words(p)]


def _words(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def meanwhile(find, end):
    """A thread that waits until `find` gives something and calls `end` with it."""

    def wait():
        while not (found := find()):
            time.sleep(0.005)
        end(found)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_killed_process_ends_the_training_in_one_sentence_and_the_same_command_goes_on():
    school = School()
    learner = school.encoder(epochs=8, dropout=0.0)
    several = {"strategy": "ddp", "devices": 2, "save_seconds": 0}
    store = school.task.store.root
    second = meanwhile(
        lambda: list((store / "Training").glob(f"*/{PAUSE}")) and [p for p in ranks() if _words(p)[-1] == "1"],
        lambda found: found[0].kill(),
    )
    with pytest.raises(DistillerError, match=r"process 1 of 2 that train was ended by signal SIGKILL") as told:
        school.taught(SFT(), learner, **several)
    second.join()
    assert "rank-1.log" in str(told.value)
    assert "\n" not in str(told.value)
    assert not [p for p in descendants() if "distiller.worker" in _words(p)]
    assert not list((store / "Checkpoint").glob("*/manifest.json"))
    assert not list(store.rglob("*.part"))
    (left,) = (store / "Training").glob(f"*/{PAUSE}")
    assert kept(left.parent, PAUSE)["position"][2] > 0
    weights, made = school.taught(SFT(), learner, **several)
    assert not left.parent.exists()
    school.task = replace(school.task, store=Store(root=fresh()))
    alone, same = school.taught(SFT(), learner)
    assert made.key == same.key
    assert apart(weights, alone) < 1e-4


def test_when_the_worker_itself_is_killed_its_processes_end_too():
    school = School()
    seen = []

    def end(found):
        seen.extend(found)
        found[0].parent().kill()

    first = meanwhile(lambda: both if len(both := ranks()) == 2 else [], end)
    with pytest.raises(DistillerError, match=r"the worker that trains was ended by signal SIGKILL"):
        school.taught(SFT(), school.encoder(epochs=50), strategy="ddp", devices=2)
    first.join()
    _, alive = psutil.wait_procs(seen, timeout=120)
    assert not alive
    assert not list((school.task.store.root / "Checkpoint").glob("*/manifest.json"))


def test_students_that_cannot_be_trained_so_are_refused_before_any_work():
    from conformance import built

    for words, said in (
        (["student=boosted", "trainer=ddp"], "boosted is trained in one within"),
        (["student=comparator", "trainer=fsdp"], "comparator is trained in one within"),
        (["student=minilm", "trainer=fsdp"], "shares out the weights of a language model.*set trainer=ddp"),
        (["student=llama3-8b", "trainer=fsdp", "algorithm=grpo"], "set trainer=ddp, or algorithm=sft, kd or dpo"),
        (["student=llama3-8b", "trainer=fsdp", "student.quantize=4bit"], "set student.quantize=none"),
        (
            ["student=minilm", "trainer=cpu", "trainer.devices=2"],
            "strategy=single trains in one process, got devices=2",
        ),
        (["student=minilm", "trainer=ddp", "trainer.num_nodes=2"], "num_nodes=2 needs address and port"),
    ):
        with pytest.raises(DistillerError, match=said):
            built(*words)
    assert isinstance(built("student=llama3-8b", "trainer=fsdp"), Experiment)


@pytest.mark.skipif(torch.cuda.device_count() > 1, reason="there are GPUs")
def test_gpus_that_are_not_there_are_told_before_any_work():
    with pytest.raises(DistillerError, match=r"trainer.devices=2 needs as many GPUs, this machine has \d"):
        Trainer(strategy="ddp", accelerator="gpu", devices=2).ready()
