"""All options in one forward pass, against a plain forward pass per token without batch, cache or tree."""

import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from distiller.config import DistillerError
from distiller.engine.beginning import Beginning, LastBeginning
from distiller.engine.option_scoring import OptionBatch, option_log_probabilities
from distiller.engine.option_tree import OptionTree

SHAPE = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,
}
GEMMA = {"head_dim": 8, "query_pre_attn_scalar": 8}
QWEN_MIXED = {"use_sliding_window": True, "max_window_layers": 1}
NETWORKS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SHAPE)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=32, n_layer=2, n_head=4, initializer_range=0.3)),
    "mistral, window 6": lambda: MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=6)),
    "qwen2, some layers with window 6": lambda: Qwen2ForCausalLM(Qwen2Config(**SHAPE, sliding_window=6, **QWEN_MIXED)),
    "gemma2, half of the layers with window 6": lambda: Gemma2ForCausalLM(
        Gemma2Config(**SHAPE, **GEMMA, sliding_window=6)
    ),
}
#: All options of a prompt have one path but for their last tokens.
UNBRANCHED = [[(11, 1), (11, 2)], [(3,), (4,)], [(11, 1, 5), (11, 1, 0), (11, 2)], [(20, 21, 22, 23)]]
OPTIONS = [
    [(11, 1, 12), (11, 2, 12), (11, 1, 0, 12)],
    [(3,), (4,)],
    [(11, 5, 6, 7, 8, 9, 10), (13, 14), (11, 5, 15)],
    [(20, 21, 22, 23)],
]
PROMPTS = [list(range(30, 49)), [7], [5, 4, 3, 2, 1, 0, 6, 8], list(range(25, 38))]
INSTRUCTION = [3, 9, *range(40, 20, -1)]


def network(name, attention="sdpa", dtype=torch.float32):
    torch.manual_seed(0)
    model = NETWORKS[name]().eval().to(dtype)
    model.set_attn_implementation(attention)
    return model


def by_loop(model, prompt, option):
    """Log-probability of an option, one plain forward pass for each of its tokens."""
    tokens, total = list(prompt), 0.0
    for token in option:
        logits = model(torch.tensor([tokens], device=model.device), use_cache=False).logits[0, -1]
        total = total + logits.double().log_softmax(-1)[token]
        tokens.append(token)
    return total


def check_against_the_loop(model, scores, prompts, options):
    """Each row has the log-probabilities that a plain loop finds for the options of its prompt, alone."""
    assert scores.shape == (len(prompts), max(map(len, options)))
    with torch.no_grad():
        for row, prompt, own in zip(scores, prompts, options, strict=True):
            expected = [by_loop(model, prompt, option).item() for option in own]
            assert row[: len(own)].tolist() == pytest.approx(expected, abs=1e-4)
            assert (row[len(own) :] == -torch.inf).all()


@pytest.mark.parametrize(
    ("name", "attention"), [(n, a) for n in NETWORKS for a in ("sdpa", "eager") if (n[:5], a) != ("gemma", "sdpa")]
)
@pytest.mark.parametrize("learning", [False, True])
@pytest.mark.parametrize("options", [OPTIONS, UNBRANCHED], ids=["branched", "unbranched"])
@pytest.mark.parametrize("beginning", [[], INSTRUCTION], ids=["apart", "shared"])
def test_every_option_of_a_mixed_batch_is_as_probable_as_alone(name, attention, learning, options, beginning):
    model = network(name, attention)
    prompts = [beginning + prompt for prompt in PROMPTS]
    batch = OptionBatch.of(prompts, [OptionTree.of(own) for own in options], padding=0)
    assert batch.branched() == (options is OPTIONS)
    with torch.set_grad_enabled(learning):
        scores = option_log_probabilities(model, batch)
    check_against_the_loop(model, scores, prompts, options)


@pytest.mark.parametrize("name", NETWORKS)
def test_what_was_read_before_serves_later_prompts_cut_or_continued(name):
    model = network(name, "eager" if name[:5] == "gemma" else "sdpa")
    last = LastBeginning()
    far, other = INSTRUCTION + list(range(1, 20)), [2, *INSTRUCTION]
    asked = [
        [[*INSTRUCTION, 1, 2]],
        [[*INSTRUCTION, 5]],
        [[*far, 7], [*far, 8, 9]],
        [[*far, 3]],
        [[*INSTRUCTION[:18], 2]],
    ]
    lengths = []
    for prompts in [*asked, [[*other, 4]], [[*other, 5]]]:
        with torch.inference_mode():
            read = last.of(model, prompts)
            options = UNBRANCHED[: len(prompts)]
            batch = OptionBatch.of(prompts, [OptionTree.of(own) for own in options], padding=0)
            check_against_the_loop(model, option_log_probabilities(model, batch, read), prompts, options)
        lengths.append(len(read.tokens) if read else 0)
    assert lengths == [0, len(INSTRUCTION), len(far), len(far), 18, 0, len(other)]


def test_tokens_that_prompts_share_are_computed_once():
    model, read = network("llama"), []
    model.model.layers[0].mlp.register_forward_hook(lambda _, given, out: read.append(out.shape[0] * out.shape[1]))
    model.lm_head.register_forward_hook(lambda _, given, out: said.append(out.numel() // out.shape[-1]))
    said: list[int] = []
    prompts = [[*INSTRUCTION, 1, 2, i] for i in range(6)]
    batch = OptionBatch.of(prompts, [OptionTree.of(UNBRANCHED[0])] * 6, padding=0)
    option_log_probabilities(model, batch)
    assert sum(read) <= len(INSTRUCTION) + 2 + 6 * 3, "the beginning once, then the last tokens of prompts and a node"
    assert said[-1] == 12, "the output layer reads the last token of each prompt and one node"
    kept = Beginning.read(model, INSTRUCTION)
    read.clear()
    Beginning.read(model, [*INSTRUCTION, 7], kept)
    assert read == [1]


@pytest.mark.parametrize("name", ["llama", "qwen2"])
@pytest.mark.parametrize("every", [OPTIONS, UNBRANCHED], ids=["branched", "unbranched"])
@pytest.mark.parametrize("beginning", [[], INSTRUCTION], ids=["apart", "shared"])
@pytest.mark.parametrize("recomputed", [False, True], ids=["kept", "recomputed"])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_gradients_are_those_of_the_plain_loop_also_where_rows_have_fewer_options(name, every, beginning, recomputed):
    model = network(name)
    if recomputed:
        model.train().gradient_checkpointing_enable({"use_reentrant": False})
    prompts = [beginning + prompt for prompt in PROMPTS[:2]]
    batch = OptionBatch.of(prompts, [OptionTree.of(options) for options in every[:2]], padding=0)
    loss = -option_log_probabilities(model, batch).log_softmax(dim=-1)[:, 1].sum()
    loss.backward()
    got = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()
    plain = 0.0
    for prompt, options in zip(prompts, every[:2], strict=True):
        plain = plain - torch.stack([by_loop(model, prompt, option) for option in options]).log_softmax(dim=-1)[1]
    plain.backward()
    assert loss.item() == pytest.approx(plain.item(), abs=1e-4)
    for name, weight in model.named_parameters():
        assert torch.isfinite(got[name]).all(), name
        assert torch.allclose(got[name], weight.grad, atol=1e-4, rtol=1e-3), name


def test_a_model_that_computes_in_bfloat16_gives_scores_in_float32_near_those_of_float32():
    batch = OptionBatch.of(PROMPTS, [OptionTree.of(options) for options in OPTIONS], padding=0)
    with torch.no_grad():
        exact = option_log_probabilities(network("llama"), batch)
        rounded = option_log_probabilities(network("llama", dtype=torch.bfloat16), batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = option_log_probabilities(network("llama"), batch)
    for scores in (rounded, mixed):
        assert scores.dtype == torch.float32
        assert torch.allclose(scores, exact, rtol=0.1, atol=0.3)


def test_a_model_without_attention_to_tokens_is_refused():
    batch = OptionBatch.of(PROMPTS[:1], [OptionTree.of(OPTIONS[0])], padding=0)
    model = MambaForCausalLM(MambaConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, state_size=4))
    with pytest.raises(DistillerError, match="options cannot be scored with MambaForCausalLM"):
        option_log_probabilities(model, batch)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["llama", "qwen2"])
def test_scores_on_a_gpu_are_those_of_the_loop_on_it(name):
    model = network(name).cuda()
    batch = OptionBatch.of(PROMPTS, [OptionTree.of(options) for options in OPTIONS], padding=0).to("cuda")
    with torch.no_grad():
        scores = option_log_probabilities(model, batch)
        for row, prompt, options in zip(scores, PROMPTS, OPTIONS, strict=True):
            expected = [by_loop(model, prompt, option).item() for option in options]
            assert row[: len(options)].tolist() == pytest.approx(expected, abs=1e-4)
