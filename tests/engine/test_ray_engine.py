"""Ray Data's pipeline gives the replies that vLLM gives, on the same tiny checkpoint."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine.test_vllm_engine import BRACKETS, NUMBERS, SETTINGS, answers, question
from engine.tiny_model import tiny_checkpoint

from distiller.config import DistillerError
from distiller.engine.base import Reply, Request
from distiller.engine.ray import Ray
from distiller.engine.vllm import VLLM

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'distiller-er[ray]'")

BATCH = 4
REQUESTS = [
    *(question(i, max_tokens=16) for i in range(6)),
    question(0, max_tokens=40, stop=("never in there", "e")),
    *(question(i, max_tokens=8, temperature=1.0, sample=i) for i in range(4)),
    *(question(i, max_tokens=8, options=NUMBERS[:10]) for i in range(4)),
    *(question(i, mode="score", options=BRACKETS) for i in range(4)),
    *(question(i, mode="score", options=NUMBERS) for i in range(2)),
    question(5, max_tokens=300, schema='{"type": "boolean"}'),
    Request(messages=(("user", "camera " * 2000),)),
    question(2, mode="score", options=("[1]", "[1]")),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("tiny") / "split", digits="split")


@pytest.fixture(scope="module")
def expected(folder: Path) -> list[Reply]:
    with VLLM(**SETTINGS).open(str(folder), None) as model:
        return answers(model, REQUESTS)


def test_every_reply_is_the_one_of_the_vllm_engine_and_requests_are_pulled_lazily(folder, expected):
    pulled: list[int] = []

    def supply() -> Iterator[tuple[int, Request]]:
        for i, request in enumerate(REQUESTS * 3):
            pulled.append(i)
            yield i, request

    begin = time.perf_counter()
    got: list[tuple[int, Reply]] = []
    with Ray(**SETTINGS, batch_size=BATCH).open(str(folder), None) as model:
        assert list(model.replies(iter(()))) == []
        for number, reply in model.replies(supply()):
            if not got:
                print(f"first reply of Ray after {time.perf_counter() - begin:.0f} s")
            got.append((number, reply))
            assert len(pulled) <= len(got) + 4 * BATCH + 1
    passed = time.perf_counter() - begin
    print(f"{len(got)} replies of Ray in {passed:.0f} s with start and end")
    assert sorted(number for number, _ in got) == list(range(3 * len(REQUESTS)))
    assert sum(reply.seconds for _, reply in got) <= passed
    for number, reply in got:
        wanted = expected[number % len(REQUESTS)]
        assert (reply.text, reply.finish, reply.tokens_in, reply.tokens_out) == (
            wanted.text,
            wanted.finish,
            wanted.tokens_in,
            wanted.tokens_out,
        )
        assert reply.scores == (wanted.scores and pytest.approx(wanted.scores, abs=1e-3))
        assert bool(reply.error) == bool(wanted.error)


def test_asking_can_stop_early_and_replicas_that_do_not_start_are_one_sentence(folder):
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        with Ray(**SETTINGS, batch_size=1).open(str(folder), None) as model:
            replies = model.replies((i, question(i, max_tokens=4)) for i in range(1000))
            assert next(replies)[1].text
            replies.close()
        too_long = Ray(**{**SETTINGS, "max_model_len": 1_000_000})
        with (
            too_long.open(str(folder), None) as model,
            pytest.raises(DistillerError, match=r"replicas of .* failed: .*1000000"),
        ):
            answers(model, [question(0)])
        assert ray.is_initialized(), "a Ray that was there before stays"
    finally:
        ray.shutdown()


def test_too_few_gpus_are_told_before_anything_waits_for_them(folder):
    ray.init(num_cpus=1, num_gpus=1, include_dashboard=False, log_to_driver=False)
    try:
        with (
            pytest.raises(DistillerError, match="needs 2 GPUs for replicas=2 with tensor_parallel=1, and Ray has 1"),
            Ray(replicas=2).open(str(folder), None),
        ):
            raise AssertionError("there is one GPU only")
    finally:
        ray.shutdown()


def test_a_cluster_that_is_not_there_is_one_sentence(folder):
    with pytest.raises(DistillerError, match=r"no Ray cluster answers at 127\.0\.0\.1:1"):
        Ray(address="127.0.0.1:1").check(str(folder), None)
    with pytest.raises(DistillerError, match="Ray cannot be had at auto"), Ray(address="auto").open(str(folder), None):
        raise AssertionError("no cluster runs on this machine")
