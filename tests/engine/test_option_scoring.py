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
OPTIONS = [
    [(11, 1, 12), (11, 2, 12), (11, 1, 0, 12)],
    [(3,), (4,)],
    [(11, 5, 6, 7, 8, 9, 10), (13, 14), (11, 5, 15)],
    [(20, 21, 22, 23)],
]
PROMPTS = [list(range(30, 49)), [7], [5, 4, 3, 2, 1, 0, 6, 8], list(range(25, 38))]


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


@pytest.mark.parametrize(
    ("name", "attention"), [(n, a) for n in NETWORKS for a in ("sdpa", "eager") if (n[:5], a) != ("gemma", "sdpa")]
)
@pytest.mark.parametrize("learning", [False, True])
def test_every_option_of_a_mixed_batch_is_as_probable_as_alone(name, attention, learning):
    model = network(name, attention)
    batch = OptionBatch.of(PROMPTS, [OptionTree.of(options) for options in OPTIONS], padding=0)
    with torch.set_grad_enabled(learning):
        scores = option_log_probabilities(model, batch)
    with torch.no_grad():
        assert scores.shape == (4, 3)
        for row, prompt, options in zip(scores, PROMPTS, OPTIONS, strict=True):
            expected = [by_loop(model, prompt, option).item() for option in options]
            assert row[: len(options)].tolist() == pytest.approx(expected, abs=1e-4)
            assert (row[len(options) :] == -torch.inf).all()


@pytest.mark.parametrize("name", ["llama", "qwen2"])
def test_gradients_are_those_of_the_plain_loop_also_where_rows_have_fewer_options(name):
    model = network(name)
    batch = OptionBatch.of(PROMPTS[:2], [OptionTree.of(options) for options in OPTIONS[:2]], padding=0)
    loss = -option_log_probabilities(model, batch).log_softmax(dim=-1)[:, 1].sum()
    loss.backward()
    got = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()
    plain = 0.0
    for prompt, options in zip(PROMPTS[:2], OPTIONS[:2], strict=True):
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
