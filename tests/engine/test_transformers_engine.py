"""Local weights behind the engine's door, against plain forward passes without batch, cache, padding or tree."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from engine.tiny_model import tiny_checkpoint
from pydantic import ValidationError
from transformers import AutoModelForCausalLM, AutoTokenizer

from distiller.config import DistillerError
from distiller.engine.base import Request
from distiller.engine.decoding import Draft, next_tokens
from distiller.engine.transformers import Transformers

KINDS = {
    "llama, digits merged": ("llama", "merged"),
    "llama, digits split": ("llama", "split"),
    "llama, bracket merged": ("llama", "bracket"),
    "qwen2": ("qwen2", "split"),
}
RECORDS = [
    "name: sony cyber-shot dsc-w120; price: 149.99",
    "title: canon powershot sd1100 is; year: 2008",
    "title: the quiet river; genre: drama; runtime: 104",
    "naïve “quotes” 東京 🙂",
]
FIELDS = {"type": "object", "additionalProperties": False}
SCHEMA = {
    **FIELDS,
    "properties": {
        "answer": {"type": "integer", "minimum": 0, "maximum": 10},
        "sure": {"enum": ["yes", "no"]},
        "why": {"type": "string", "maxLength": 12},
    },
    "required": ["answer", "sure", "why"],
}


def numbers(k):
    return tuple(f"[{i}]" for i in range(k + 1))


def question(k, seed=0, system=True):
    """Messages about k candidates, of another length for each k."""
    text = "Query: " + RECORDS[seed % 4] + "".join(f"\n[{i}] {RECORDS[(i + seed) % 4]}" for i in range(1, k + 1))
    return ((("system", "You match records."),) if system else ()) + (("user", text),)


@pytest.fixture(scope="module", params=KINDS)
def folder(request, tmp_path_factory):
    architecture, digits = KINDS[request.param]
    return tiny_checkpoint(tmp_path_factory.mktemp("model"), architecture, digits, seed=1)


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.mktemp("model"), "llama", "merged", seed=1)


class Plain:
    """The same checkpoint, used in the most pedestrian way."""

    def __init__(self, folder):
        self.network = AutoModelForCausalLM.from_pretrained(folder).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.ends = {*self.network.generation_config.eos_token_id, self.tokenizer.eos_token_id}

    def prompt(self, messages):
        turns = [{"role": role, "content": text} for role, text in messages]
        return self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)

    def tokens(self, text):
        return self.tokenizer(text, add_special_tokens=False).input_ids

    @torch.no_grad()
    def logits(self, tokens):
        return self.network(torch.tensor([tokens]), use_cache=False).logits[0, -1]

    def scores(self, prompt, options):
        """Log-probability of the tokens of prompt + option, from the first that the prompt alone has not to the first with
        which no other option goes on."""
        alone, wholes = self.tokens(prompt), [self.tokens(prompt + option) for option in options]
        begin = min(sum(1 for _ in common(alone, whole)) for whole in wholes)
        if any(a != b and b[: len(a)] == a for a in wholes for b in wholes):
            wholes = [[*whole, self.tokenizer.eos_token_id] for whole in wholes]
        return [self.told_apart(begin, whole, [other for other in wholes if other is not whole]) for whole in wholes]

    def told_apart(self, begin, whole, others):
        total = 0.0
        for i in range(begin, len(whole)):
            total += self.logits(whole[:i]).double().log_softmax(-1)[whole[i]].item()
            if all(other[: i + 1] != whole[: i + 1] for other in others):
                return total
        raise AssertionError("two options are the same")

    def greedy(self, prompt, max_tokens):
        """Tokens of the reply, and whether it ended by itself."""
        tokens, new = self.tokens(prompt), []
        while len(new) < max_tokens:
            token = int(self.logits(tokens + new).argmax())
            if token in self.ends:
                return new, True
            new.append(token)
        return new, False


def ask(folder, requests, **fields):
    """Replies in the order of the requests, each number checked to come exactly once."""
    with Transformers(device="cpu", **fields).open(str(folder), None) as model:
        replies = list(model.replies(enumerate(requests)))
    assert sorted(number for number, _ in replies) == list(range(len(requests)))
    return [reply for _, reply in sorted(replies, key=lambda pair: pair[0])]


# ---- scoring


def test_scores_are_those_of_a_token_by_token_loop_for_every_k_length_and_batch_size(folder):
    requests = [Request(question(k, seed=k), mode="score", options=numbers(k)) for k in range(1, 11)]
    plain = Plain(folder)
    expected = [plain.scores(plain.prompt(r.messages), r.options) for r in requests]
    for batch_tokens in (1, 700, 100_000):
        for reply, scores, request in zip(
            ask(folder, requests, batch_tokens=batch_tokens), expected, requests, strict=True
        ):
            assert reply.scores == pytest.approx(scores, abs=1e-4)
            assert sum(np.exp(reply.scores)) <= 1 + 1e-6
            assert max(reply.scores) <= 0
            assert reply.text is None
            assert reply.tokens_in == len(plain.tokens(plain.prompt(request.messages)))
            assert reply.tokens_out == 0


@pytest.mark.parametrize(
    "options", [("1]", "10]", "2]"), ("1", "10", "2"), ("None", "[3]", "two words and more"), ("2010]", "20]")]
)
@pytest.mark.parametrize("digits", ["merged", "split", "bracket"])
def test_options_that_melt_into_the_prompt_or_begin_each_other_are_scored_right(digits, options, tmp_path):
    folder = tiny_checkpoint(tmp_path, digits=digits)
    plain = Plain(folder)
    messages = (*question(2), ("assistant", "The answer is ["))
    prompt = plain.prompt(messages[:-1]) + messages[-1][1]
    (reply,) = ask(folder, [Request(messages, mode="score", options=options)])
    assert reply.scores == pytest.approx(plain.scores(prompt, options), abs=1e-4)
    assert sum(np.exp(reply.scores)) <= 1 + 1e-6


def common(one, other):
    for a, b in zip(one, other, strict=False):
        if a != b:
            return
        yield a


# ---- generation


def test_greedy_text_is_that_of_a_loop_whatever_the_batch(folder):
    plain = Plain(folder)
    requests = [Request(question(k, seed=k), max_tokens=4 + k) for k in (1, 2, 5, 3, 7)]
    for batch_tokens in (1, 1000, 100_000):
        for request, reply in zip(requests, ask(folder, requests, batch_tokens=batch_tokens), strict=True):
            tokens, ended = plain.greedy(plain.prompt(request.messages), request.max_tokens)
            assert reply.text == plain.tokenizer.decode(tokens, skip_special_tokens=True)
            assert reply.tokens_out == len(tokens) + ended
            assert reply.finish == ("stop" if ended else "length")
            assert reply.tokens_in == len(plain.tokens(plain.prompt(request.messages)))
            assert reply.seconds > 0


def test_a_turn_ends_with_its_token_which_is_counted_but_not_written(llama, tmp_path):
    plain = Plain(llama)
    requests = [Request(question(k), max_tokens=8) for k in (1, 4, 2, 6)]
    seen, _ = plain.greedy(plain.prompt(requests[1].messages), 8)
    end = plain.tokenizer.eos_token_id
    with torch.no_grad():  # the token that this reply has in fifth place now loses to the end of the turn
        plain.network.lm_head.weight[end] = 1.2 * plain.network.lm_head.weight[seen[4]]
    plain.network.save_pretrained(tmp_path)
    plain.tokenizer.save_pretrained(tmp_path)
    finishes = set()
    for request, reply in zip(requests, ask(tmp_path, requests), strict=True):
        tokens, ended = plain.greedy(plain.prompt(request.messages), 8)
        assert reply.text == plain.tokenizer.decode(tokens)
        assert reply.tokens_out == len(tokens) + ended
        assert reply.finish == ("stop" if ended else "length")
        finishes.add(reply.finish)
    assert finishes == {"stop", "length"}


def test_a_reply_held_to_options_is_the_loops_choice_among_what_is_still_possible(folder):
    plain = Plain(folder)
    requests = [Request(question(k, seed=k), options=numbers(k), max_tokens=8) for k in (1, 2, 10, 5, 10, 9)]
    for request, reply in zip(requests, ask(folder, requests), strict=True):
        prompt = plain.prompt(request.messages)
        kept = len(plain.tokens(prompt))
        rests = {option: plain.tokens(prompt + option)[kept:] for option in request.options}
        new: list[int] = []
        while (possible := {o: r for o, r in rests.items() if r[: len(new)] == new}) and rests.get(reply.text) != new:
            logits = plain.logits(plain.tokens(prompt) + new)
            new.append(max({r[len(new)] for r in possible.values()}, key=lambda token: logits[token].item()))
        assert reply.text in request.options
        assert rests[reply.text] == new
        assert reply.tokens_out == len(new) + 1
        assert reply.finish == "stop"


def test_options_that_begin_each_other_can_all_be_generated(llama):
    requests = [Request(question(3), options=("1", "10", "100"), temperature=50.0, sample=i) for i in range(40)]
    assert {reply.text for reply in ask(llama, requests)} == {"1", "10", "100"}


def test_a_sampled_reply_is_decided_by_its_request_alone(llama):
    requests = [Request(question(k), temperature=1.0, sample=s, max_tokens=10) for k in (1, 5) for s in (0, 1, 2)]
    together = [reply.text for reply in ask(llama, requests)]
    assert [reply.text for reply in ask(llama, requests, batch_tokens=1)] == together
    assert [reply.text for reply in ask(llama, requests[::-1], window=2)] == together[::-1]
    assert len(set(together)) == len(together)


def test_draws_spread_over_tokens_as_the_softmax_says_and_never_leave_what_is_allowed():
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0, -torch.inf])
    points = (np.arange(2000) + 0.5) / 2000
    for temperature in (0.5, 1.0, 2.0):
        drafts = [Draft([1], 1, frozenset(), temperature, np.array([point])) for point in points]
        drawn = next_tokens(logits.repeat(2000, 1), drafts, [False] * 2000)
        share = np.bincount(drawn, minlength=5) / 2000
        assert share == pytest.approx(torch.softmax(logits / temperature, 0).numpy(), abs=1e-3)


def test_a_reply_held_to_a_schema_follows_it(folder):
    schema = json.dumps(SCHEMA)
    requests = [
        Request(question(k), schema=schema, max_tokens=120, temperature=1.0 * (s > 0), sample=s)
        for k in (2, 5)
        for s in range(6)
    ]
    for reply in ask(folder, requests):
        assert reply.finish == "stop"
        read = json.loads(reply.text)
        assert sorted(read) == ["answer", "sure", "why"]
        assert read["answer"] in range(11)
        assert read["sure"] in ("yes", "no")
        assert len(read["why"]) <= 12


def test_a_reply_ends_before_the_first_of_its_stop_texts(llama):
    request = Request(question(3), max_tokens=30)
    (whole,) = ask(llama, [request])
    stop = whole.text[9:12]
    (cut,) = ask(llama, [replace(request, stop=("never in it", stop))])
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish == "stop"
    assert cut.tokens_out < whole.tokens_out


# ---- what cannot be done


def test_a_request_that_cannot_be_answered_says_why_and_the_others_are_answered(llama):
    long = (("user", "camera " * 6000),)
    good = Request(question(2), mode="score", options=numbers(2))
    faults = {
        "reads fewer than 4096: shorten it": Request(long, mode="score", options=numbers(2)),
        "needs options": Request(question(2), mode="score"),
        "two options are the same": Request(question(2), mode="score", options=("[1]", "[1]")),
        "max_tokens is 0": Request(question(2), max_tokens=0),
        "nonsense": Request(question(2), schema='{"type": "nonsense"}'),
    }
    *failed, last = ask(llama, [*faults.values(), good])
    for reply, reason in zip(failed, faults, strict=True):
        assert reason in reply.error
        assert reply.finish == "error"
        assert reply.text is None
        assert reply.scores is None
    assert last.error is None
    assert len(last.scores) == 3


def test_a_prompt_that_leaves_little_room_is_cut_off_at_the_models_length(tmp_path):
    folder = tiny_checkpoint(tmp_path, positions=64)
    with Transformers(device="cpu").open(str(folder), None) as model:
        request = Request((("user", "camera " * 20),), max_tokens=1000)
        (tokens,) = model.tokens([request])
        ((_, reply),) = model.replies([(5, request)])
    assert reply.finish in ("length", "stop")
    assert reply.tokens_out <= 64 - tokens


def test_only_one_window_of_requests_is_taken_before_its_replies_are_given(llama):
    taken = []

    def source():
        for number in range(10):
            taken.append(number)
            yield number, Request(question(1 + number % 3), mode="score", options=numbers(3))

    with Transformers(device="cpu", window=4).open(str(llama), None) as model:
        replies = model.replies(source())
        assert not taken
        seen = {next(replies)[0]}
        assert taken == [0, 1, 2, 3]
        seen |= {next(replies)[0] for _ in range(3)}
        assert seen == {0, 1, 2, 3}
        assert taken == [0, 1, 2, 3]
        next(replies)
        assert taken == list(range(8))


MEMORY = """
import resource, sys
from pathlib import Path
import torch
from distiller.config import DistillerError
from distiller.engine.base import Request
from distiller.engine.transformers import Transformers
torch.set_num_threads(1)
folder, megabytes, repeat = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
options = tuple(f"[{i}]" for i in range(11))
requests = [Request((("user", f"{i} " + "camera 10 " * repeat),), mode="score", options=options) for i in range(24)]
with Transformers(device="cpu", batch_tokens=10**6).open(folder, None) as model:
    list(model.replies([(0, Request((("user", "warm up"),), mode="score", options=options))]))
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + megabytes * 2**20, -1))
    try:
        replies = list(model.replies(enumerate(requests)))
        print(len(replies), model.limit < 10**6, all(len(r.scores) == 11 for _, r in replies))
    except DistillerError as error:
        print(error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the memory of a process by Linux's means")
@pytest.mark.parametrize(
    ("megabytes", "repeat", "says"),
    [(150, 250, "24 True True"), (25, 1300, "does not fit into the memory of cpu by itself")],
)
def test_a_batch_too_large_for_memory_is_halved_until_one_prompt_is_too_large(megabytes, repeat, says, tmp_path):
    folder = tiny_checkpoint(tmp_path, hidden=512, layers=1)
    program = [sys.executable, "-c", MEMORY, str(folder), str(megabytes), str(repeat)]
    ran = subprocess.run(program, capture_output=True, text=True, timeout=120)
    assert says in ran.stdout, ran.stdout + ran.stderr[-2000:]


def test_a_model_or_adapter_or_device_that_is_not_there_is_one_sentence(llama, tmp_path):
    with pytest.raises(DistillerError, match=r"without config\.json"):
        Transformers().check(str(tmp_path), None)
    with pytest.raises(DistillerError, match="looks like a path, but there is no such folder"):
        Transformers().check(str(tmp_path / "nothing"), None)
    with pytest.raises(DistillerError, match=r"without adapter_config\.json"):
        Transformers(adapter=str(tmp_path)).check(str(llama), None)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "tokenizer.json").write_bytes((llama / "tokenizer.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(DistillerError, match="cannot be loaded"), Transformers(device="cpu").open(str(tmp_path), None):
        pass
    with pytest.raises(ValidationError, match="pattern"):
        Transformers(device="gpu")
    if not torch.cuda.is_available():
        with pytest.raises(DistillerError, match="torch sees no CUDA device here"):
            Transformers(device="cuda").check(str(llama), None)
    Transformers().check(str(llama), None)


# ---- tokenizer and adapter


def test_tokens_are_counted_as_the_chat_template_renders_them(folder):
    plain = Plain(folder)
    requests = [Request(question(k)) for k in (1, 3)]
    tokenizer = Transformers().tokenizer(str(folder), None)
    assert tokenizer.tokens(requests) == [len(plain.tokens(plain.prompt(r.messages))) for r in requests]
    assert tokenizer.text_tokens(RECORDS) == [len(plain.tokens(text)) for text in RECORDS]
    assert tokenizer.tokens([]) == tokenizer.text_tokens([]) == []
    assert tokenizer.tokenizer.convert_ids_to_tokens(tokenizer.end_of_turn) in ("<|eot_id|>", "<|im_end|>")


def test_a_model_without_a_chat_template_reads_role_and_text(tmp_path):
    folder = tiny_checkpoint(tmp_path, chat=False)
    plain = Plain(folder)
    messages = (("system", "Match."), ("user", "Query: acme"))
    prompt = "system: Match.\n\nuser: Query: acme\n\nassistant:"
    score = Request(messages, mode="score", options=(" [1]", " [2]"))
    begun = Request((*messages, ("assistant", "It is")), mode="score", options=(" [1]", " [2]"))
    for reply, text in zip(ask(folder, [score, begun]), (prompt, prompt + " It is"), strict=True):
        assert reply.tokens_in == len(plain.tokens(text))
        assert reply.scores == pytest.approx(plain.scores(text, (" [1]", " [2]")), abs=1e-4)


def test_a_template_that_refuses_system_messages_gets_their_text_in_the_users(tmp_path):
    folder = tiny_checkpoint(tmp_path)
    template = (folder / "chat_template.jinja").read_text()
    refusal = (
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}{% endfor %}"
    )
    (folder / "chat_template.jinja").write_text(refusal + template)
    tokenizer = Transformers().tokenizer(str(folder), None)
    merged = tokenizer.prompt((("user", "You match records.\n\nQuery: acme"),))
    assert tokenizer.prompt((("system", "You match records."), ("user", "Query: acme"))) == merged
    with pytest.raises(DistillerError, match="refuses the messages: no system"):
        tokenizer.prompt((("system", "You match records."),))


def test_an_adapter_changes_the_weights_by_its_product(llama, tmp_path):
    pytest.importorskip("peft")
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    config = LoraConfig(r=4, lora_alpha=12, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    adapted = get_peft_model(AutoModelForCausalLM.from_pretrained(llama), config)
    adapted.save_pretrained(tmp_path / "adapter")
    plain = Plain(llama)
    learnt = dict(adapted.named_parameters())
    with torch.no_grad():
        for name, weight in plain.network.named_parameters():
            a = learnt.get(f"base_model.model.{name.removesuffix('weight')}lora_A.default.weight")
            if a is not None:
                b = learnt[f"base_model.model.{name.removesuffix('weight')}lora_B.default.weight"]
                weight += 12 / 4 * b @ a
    request = Request(question(3), mode="score", options=numbers(3))
    (reply,) = ask(llama, [request], adapter=str(tmp_path / "adapter"))
    expected = plain.scores(plain.prompt(request.messages), request.options)
    assert reply.scores == pytest.approx(expected, abs=1e-3)
    assert ask(llama, [request])[0].scores != pytest.approx(expected, abs=0.05)
    files = [p.name for p in Transformers(adapter=str(tmp_path / "adapter")).reads(None)]
    assert {"adapter_config.json", "adapter_model.safetensors"} <= set(files)
