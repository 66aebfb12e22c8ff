"""vLLM offline on a tiny checkpoint, against a plain loop over the same weights, token by token."""

import dataclasses
import json
import math
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from engine.tiny_model import tiny_checkpoint

from distiller.config import DistillerError
from distiller.engine.base import LanguageModel, Reply, Request
from distiller.engine.openai import OpenAI
from distiller.engine.vllm import VLLM

pytest.importorskip("vllm", reason="vLLM is not installed: pip install 'distiller-er[vllm]'")

os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
SETTINGS = {"dtype": "float32", "enforce_eager": True, "max_model_len": 1024}
RECORDS = ["sony cyber-shot dsc w120", "canon powershot sd1100 is", "acme cordless drill 18 v", "the quiet river, 1987"]
BRACKETS = tuple(f"[{i}]" for i in range(11))
NUMBERS = tuple(str(i) for i in range(12))
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"answer": {"enum": [0, 1, 2]}, "sure": {"type": "boolean"}},
        "required": ["answer", "sure"],
        "additionalProperties": False,
    }
)


def question(i: int, **fields) -> Request:
    shown = "\n".join(f"[{j + 1}] name: {RECORDS[(i + j) % len(RECORDS)]} {j}" for j in range(3 + i % 5))
    messages = (("system", "You match records."), ("user", f"Query {i}: {RECORDS[i % len(RECORDS)]}\n{shown}"))
    return dataclasses.replace(Request(messages=messages), **fields)


def answers(model: LanguageModel, requests: list[Request]) -> list[Reply]:
    """Replies in the order of the requests."""
    replies = list(model.replies(enumerate(requests)))
    assert sorted(number for number, _ in replies) == list(range(len(requests))), "each number exactly once"
    return [reply for _, reply in sorted(replies, key=lambda pair: pair[0])]


class Loop:
    """The same checkpoint in transformers, one sequence and one token at a time."""

    def __init__(self, folder: Path):
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()
        ends = self.model.generation_config.eos_token_id
        self.ends = set(ends if isinstance(ends, list) else [ends])

    def prompt(self, request: Request) -> list[int]:
        messages = [{"role": role, "content": text} for role, text in request.messages]
        text = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def next_logprobs(self, ids: list[int]):
        import torch

        with torch.no_grad():
            return torch.log_softmax(self.model(torch.tensor([ids])).logits[0, -1].float(), dim=-1)

    def scores(self, request: Request) -> list[float]:
        texts = [self.tokenizer(option, add_special_tokens=False)["input_ids"] for option in request.options]
        found = []
        ambiguous = any(a != b and b[: len(a)] == a for a in texts for b in texts)
        if ambiguous:
            texts = [[*tokens, self.tokenizer.convert_tokens_to_ids("<|eot_id|>")] for tokens in texts]
        for tokens in texts:
            ids, total = self.prompt(request), 0.0
            for i, token in enumerate(tokens, start=1):
                total += self.next_logprobs(ids)[token].item()
                ids = [*ids, token]
                if [other[:i] for other in texts].count(tokens[:i]) == 1:
                    break  # no other option goes on like this
            found.append(total)
        return found

    def written(self, request: Request) -> tuple[str, int, str]:
        """Text, number of tokens and finish of greedy decoding."""
        ids, new = self.prompt(request), []
        while len(new) < request.max_tokens:
            new.append(int(self.next_logprobs([*ids, *new]).argmax()))
            text = self.tokenizer.decode(new, skip_special_tokens=True)
            for stop in request.stop:
                if stop in text:
                    return text[: text.index(stop)], len(new), "stop"
            if new[-1] in self.ends:
                return text, len(new), "stop"
        return text, len(new), "length"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("tiny") / "split", digits="split")


@pytest.fixture(scope="module")
def loop(folder: Path) -> Loop:
    return Loop(folder)


@pytest.fixture(scope="module")
def model(folder: Path) -> Iterator[LanguageModel]:
    begin = time.monotonic()
    with VLLM(**SETTINGS, window=8).open(str(folder), None) as opened:
        print(f"vLLM started in {time.monotonic() - begin:.0f} s")
        yield opened


def test_greedy_text_tokens_and_finish_agree_with_a_loop_over_tokens(model, loop):
    requests = [question(i, max_tokens=24) for i in range(6)]
    _, _, ordinary = loop.written(requests[0])
    stops = loop.written(requests[0])[0][3:5]
    requests.append(question(0, max_tokens=24, stop=("never in there", stops)))
    for request, reply in zip(requests, answers(model, requests), strict=True):
        text, *rest = loop.written(request)
        assert reply.text == text.rstrip("\ufffd"), "half a character at the end is not given out"
        assert [reply.tokens_out, reply.finish] == rest
        assert reply.tokens_in == len(loop.prompt(request))
        assert reply.scores is None
        assert reply.error is None
    assert {reply.finish for reply in answers(model, requests)} == {ordinary, "stop"}


@pytest.mark.parametrize(
    "options", [BRACKETS, NUMBERS, ("yes", "no"), ("[1]",)], ids=["brackets", "numbers", "words", "one"]
)
def test_scores_are_those_of_a_loop_over_tokens(options, model, loop):
    requests = [question(i, mode="score", options=options) for i in range(5)]
    for request, reply in zip(requests, answers(model, requests), strict=True):
        assert reply.scores == pytest.approx(loop.scores(request), abs=1e-3)
        assert max(reply.scores) <= 0
        assert sum(map(math.exp, reply.scores)) <= 1 + 1e-6
        assert (reply.text, reply.tokens_out, reply.finish) == (None, 0, "stop")
        assert reply.tokens_in == len(loop.prompt(request))


def test_a_number_that_begins_another_is_told_from_it_by_the_end_of_the_turn(model, loop):
    """With digits cut apart, the bare probability of "1" would contain those of "10" and "11"."""
    request = question(1, mode="score", options=NUMBERS)
    (reply,) = answers(model, [request])
    bare = loop.next_logprobs(loop.prompt(request))[
        loop.tokenizer("1", add_special_tokens=False)["input_ids"][0]
    ].item()
    assert reply.scores[1] < bare
    assert math.exp(reply.scores[1]) + math.exp(reply.scores[10]) + math.exp(reply.scores[11]) < math.exp(bare)


def test_a_generated_reply_is_one_of_its_options_and_the_one_that_scores_best(model):
    requests = [question(i, options=NUMBERS[: 4 + i % 7], max_tokens=16) for i in range(14)]
    scored = answers(model, [dataclasses.replace(request, mode="score") for request in requests])
    for request, reply, scores in zip(requests, answers(model, requests), scored, strict=True):
        assert reply.text == max(zip(scores.scores, request.options, strict=True))[1], "one token tells them apart"
        assert reply.finish == "stop"
    bracketed = [question(i, options=BRACKETS, max_tokens=16) for i in range(8)]
    assert {reply.text for reply in answers(model, bracketed)} <= set(BRACKETS)


def test_a_schema_holds_a_generated_reply_to_its_form(model):
    replies = answers(model, [question(i, schema=SCHEMA, max_tokens=300, temperature=1.0) for i in range(8)])
    whole = [reply for reply in replies if reply.finish == "stop"]
    assert whole, "blanks, which JSON allows anywhere, may fill a reply, but not all"
    for reply in whole:
        said = json.loads(reply.text)
        assert set(said) == {"answer", "sure"}
        assert said["answer"] in (0, 1, 2)
        assert isinstance(said["sure"], bool)


def test_samples_repeat_by_their_number_and_differ_between_numbers(model):
    drawn = [question(1, temperature=1.0, sample=i % 6, max_tokens=12) for i in range(12)]
    texts = [reply.text for reply in answers(model, drawn)]
    assert texts[:6] == texts[6:]
    assert len(set(texts)) > 3


def test_requests_are_pulled_only_as_slots_become_free_and_can_stop_at_any_moment(model):
    pulled: list[int] = []

    def supply() -> Iterator[tuple[int, Request]]:
        for i in range(100):
            pulled.append(i)
            yield i, question(i, max_tokens=2 + i % 5)

    replies = model.replies(supply())
    for given in range(30):
        next(replies)
        assert len(pulled) <= given + 1 + 8, "no more than the window ahead"
    replies.close()
    stopped = len(pulled)
    assert len(answers(model, [question(0, max_tokens=4)])) == 1, "what was left behind does not disturb"
    assert len(pulled) == stopped


def test_seconds_of_all_replies_are_the_time_that_passed(model):
    requests = [question(i, max_tokens=20) for i in range(20)] + [
        question(i, mode="score", options=BRACKETS) for i in range(20)
    ]
    begin = time.perf_counter()
    replies = answers(model, requests)
    passed = time.perf_counter() - begin
    assert 0.8 * passed <= sum(reply.seconds for reply in replies) <= passed
    assert all(reply.seconds > 0 for reply in replies)


def test_a_request_that_cannot_be_answered_does_not_harm_the_others(model):
    long = Request(messages=(("user", "camera " * 2000),))
    bad_schema = question(1, schema=json.dumps({"type": "no such type"}))
    requests = [
        question(0, max_tokens=4),
        long,
        dataclasses.replace(long, mode="score", options=BRACKETS),
        bad_schema,
        question(2, mode="score", options=("[1]", "[1]")),
        question(3, mode="score", options=BRACKETS),
    ]
    good, *faulty, scored = answers(model, requests)
    assert good.text
    assert len(scored.scores) == 11
    for reply in faulty:
        assert (reply.finish, reply.text, reply.scores) == ("error", None, None)
        assert reply.error
    assert "1024" in faulty[0].error


def test_token_counts_are_those_of_the_template(model, loop, folder):
    requests = [question(i) for i in range(3)]
    texts = ["", "[10]", "sony cyber-shot"]
    bare = VLLM(**SETTINGS).tokenizer(str(folder), None)
    for counted in (model, bare):
        assert counted.tokens(requests) == [len(loop.prompt(request)) for request in requests]
        assert counted.text_tokens(texts) == [
            len(loop.tokenizer(t, add_special_tokens=False)["input_ids"]) for t in texts
        ]


@pytest.fixture(scope="module")
def adapter(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A LoRA adapter of rank 4, and the same checkpoint with the adapter's product added to its weights."""
    import torch
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    path, merged = tmp_path_factory.mktemp("adapter"), tmp_path_factory.mktemp("merged") / "tiny"
    shutil.copytree(folder, merged)
    draw, low = torch.Generator().manual_seed(1), {}
    for name in ("model.layers.0.self_attn.q_proj", "model.layers.1.mlp.down_proj"):
        weight = weights[f"{name}.weight"]
        a = torch.randn(4, weight.shape[1], generator=draw) * 0.3
        b = torch.randn(weight.shape[0], 4, generator=draw) * 0.3
        low |= {f"base_model.model.{name}.lora_A.weight": a, f"base_model.model.{name}.lora_B.weight": b}
        weights[f"{name}.weight"] = weight + 8 / 4 * b @ a
    save_file(weights, merged / "model.safetensors", metadata={"format": "pt"})
    save_file(low, path / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "down_proj"], "bias": "none"}
    (path / "adapter_config.json").write_text(json.dumps({**settings, "task_type": "CAUSAL_LM"}))
    return path, merged


def test_an_adapter_gives_the_replies_of_weights_with_the_adapter_added(adapter, folder, loop):
    path, merged = adapter
    added = Loop(merged)
    engine = VLLM(**SETTINGS, adapter=str(path))
    assert {file.name for file in engine.reads(None)} == {"adapter_config.json", "adapter_model.safetensors"}
    score = question(1, mode="score", options=BRACKETS)
    write = question(2, max_tokens=12)
    with engine.open(str(folder), None) as model:
        scored, written = answers(model, [score, write])
    assert scored.scores == pytest.approx(added.scores(score), abs=1e-3)
    assert scored.scores != pytest.approx(loop.scores(score), abs=0.1)
    assert written.text == added.written(write)[0].rstrip("\ufffd")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (None, "is no folder with a LoRA adapter"),
        ({"r": 1024}, "has rank 1024, vLLM takes at most 512: merge it into its base"),
    ],
)
def test_an_adapter_that_cannot_be_put_on_is_told_before_anything_starts(settings, sentence, folder, tmp_path):
    if settings is not None:
        (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    with pytest.raises(DistillerError, match=sentence):
        VLLM(adapter=str(tmp_path)).check(str(folder), None)


def test_a_model_that_does_not_start_is_one_sentence(folder):
    with (
        pytest.raises(DistillerError, match=r"vLLM could not start model .*max_model_len"),
        VLLM(**{**SETTINGS, "max_model_len": 1_000_000}).open(str(folder), None),
    ):
        raise AssertionError("the checkpoint has 4,096 positions")


def test_a_dead_engine_ends_asking_with_one_sentence_and_what_came_is_good(model):
    """The last test of the shared engine."""
    replies = model.replies((i, question(i, max_tokens=64)) for i in range(1000))
    assert next(replies)[1].text
    (core,) = [child for child in psutil.Process().children() if "EngineCore" in child.name()]
    core.kill()
    with pytest.raises(DistillerError, match=r"a process of vLLM was killed|vLLM died"):
        list(replies)
    with pytest.raises(DistillerError, match="vLLM"):
        answers(model, [question(0)])


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of vLLM's own server with the checkpoint under the name `tiny`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    arguments = ["--model", folder, "--served-model-name", "tiny", "--host", "127.0.0.1", "--port", port]
    arguments += ["--dtype", "float32", "--enforce-eager", "--max-model-len", 1024]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *map(str, arguments)]
    begin = time.monotonic()
    with log.open("wb") as written:
        process = subprocess.Popen(command, stdout=written, stderr=written, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    try:
        while True:
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() - begin < 240, log.read_text()[-2000:]
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                    break
            except OSError:
                time.sleep(1)
        print(f"the server was up after {time.monotonic() - begin:.0f} s")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def test_the_openai_engine_talks_to_a_vllm_server(server, loop):
    engine = OpenAI(url=server, concurrency=16, structured="choice")
    engine.check("tiny", None)
    with pytest.raises(DistillerError, match="does not know the model other"):
        engine.check("other", None)
    plain = [question(i, max_tokens=12) for i in range(4)]
    chosen = [question(i, options=NUMBERS[:10], max_tokens=8) for i in range(12)]
    formed = [question(i, schema=SCHEMA, max_tokens=300, temperature=1.0) for i in range(4)]
    free = OpenAI(url=server, concurrency=16)
    with engine.open("tiny", None) as model, free.open("tiny", None) as unbound:
        replies = answers(model, [*plain, *chosen, *formed])
        for request, reply in zip(plain, replies, strict=False):
            assert reply.text == loop.written(request)[0].rstrip("\ufffd")
            assert (reply.tokens_in, reply.tokens_out) == (len(loop.prompt(request)), loop.written(request)[1])
        for request, reply in zip(chosen, replies[len(plain) :], strict=False):
            best = max(zip(loop.scores(dataclasses.replace(request, mode="score")), request.options, strict=True))
            assert reply.text == best[1]
        whole = [reply for reply in replies[-len(formed) :] if reply.finish == "stop"]
        assert all(json.loads(reply.text)["answer"] in (0, 1, 2) for reply in whole)
        compared = 0
        for i in range(20):
            listed = loop.next_logprobs(loop.prompt(question(i))).topk(20)
            tokens = [loop.tokenizer.decode([token]) for token in listed.indices.tolist()]
            if any(token and not token.strip() for token in tokens):
                continue  # a blank may stand before any option
            texts = [token.lstrip() or "(special)" for token in tokens]
            words = {  # what no other listed token is, begins or goes on from
                text: logprob
                for n, (text, logprob) in enumerate(zip(texts, listed.values.tolist(), strict=True))
                if text.isalpha()
                and not any(a.startswith(text) or text.startswith(a) for a in texts[:n] + texts[n + 1 :])
            }
            if len(words) > 2 and compared < 6:
                request = question(i, mode="score", options=tuple(words))
                (scored,), (held,) = answers(unbound, [request]), answers(model, [request])
                assert scored.scores == pytest.approx(list(words.values()), abs=1e-2)
                assert sum(map(math.exp, held.scores)) == pytest.approx(1, abs=0.02), "given that it is one of them"
                compared += 1
        assert compared > 2
        begin = time.perf_counter()
        answers(model, [question(i, options=NUMBERS[:10], max_tokens=8) for i in range(200)])
        print(f"{200 / (time.perf_counter() - begin):.0f} requests/s of a choice at concurrency 16")


def test_speed_on_this_machine_is_printed(folder):
    """Not a bound: figures for the log, from an engine of its own."""
    with VLLM(**SETTINGS).open(str(folder), None) as model:
        for title, requests in (
            ("written, 64 tokens", [question(i, max_tokens=64) for i in range(200)]),
            ("choice of 11", [question(i, options=BRACKETS, max_tokens=8) for i in range(200)]),
            ("scores of 11", [question(i, mode="score", options=BRACKETS) for i in range(200)]),
        ):
            begin = time.perf_counter()
            replies = answers(model, requests)
            passed = time.perf_counter() - begin
            tokens = sum(reply.tokens_in + reply.tokens_out for reply in replies)
            print(f"{title}: {len(requests) / passed:.0f} requests/s, {tokens / passed:.0f} tokens/s")
            assert all(reply.error is None for reply in replies)
