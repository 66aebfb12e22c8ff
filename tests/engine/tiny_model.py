"""Tiny causal language models with random weights and a tokenizer trained on the spot: real checkpoints, no download.

`from engine.tiny_model import tiny_checkpoint` works from every test, since `tests/` is on the path.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

#: How numbers and brackets become tokens, as in well-known tokenizers: `merged` ("10" is one token, Llama 3), `split`
#: ("10" is two, Qwen 2), `bracket` ("[1" is one token, "[2" is two, so options share no first token).
Digits = Literal["merged", "split", "bracket"]

_WORDS = r"'(?:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_PIECES = {
    "merged": rf"{_WORDS}|\p{{N}}{{1,3}}|{_REST}",
    "split": rf"{_WORDS}|\p{{N}}|{_REST}",
    "bracket": r" ?\p{L}+| ?[^\s\p{L}]+|\s+(?!\S)|\s+",
}
_SENTENCES = [
    "You match records of two tables. Which of the candidates is the same real-world entity as the query?",
    "Answer with the number of the candidate in square brackets, or [0] if none of them is the same.",
    "Query: name: sony cyber-shot digital camera dsc-w120 silver; price: 149.99; description: 7.2 megapixel",
    "[1] name: sony cyber shot dsc w120 s; price: 129; manufacturer: sony",
    "[2] title: canon powershot sd1100 is, 8 mp, 3x optical zoom; year: 2008",
    "[3] title: a query optimizer for distributed databases; authors: m. stone, l. wang; venue: vldb; year: 1999",
    "[4] title: the quiet river; genre: drama; runtime: 104 minutes; release year: 1987",
    "[5] first name: emily; surname: harris; street: 12 elm road; postcode: 2650; born: 19790411",
    "[6] name: acme cordless drill 18 v, 2 batteries [7] name: acme saw 70 [8] hammer [9] nails [10] screws 10 mm",
    '{"answer": 3, "explanation": "Both records name the same model number and year.", "confidence": 0.9}',
    "The model number agrees, the price does not. They are not the same, because the years 2010 and 2011 differ.",
    "10 100 10 2010 1010 10 10 10 11 12 20 30 40 50 60 70 80 90 10 10",
]
_OPEN_BRACKETS = ["[1995,", "[1980;", "[1999,", "[1874-", "[1901,", "[1910,", "[1x,", "[1k;", "[1x,", "[1k"] * 9

_NAMES = {
    "llama": {
        "bos": "<|begin_of_text|>",
        "eos": "<|end_of_text|>",
        "open": "<|start_header_id|>",
        "said": "<|end_header_id|>\n\n",
        "turn": "<|eot_id|>",
        "after": "",
    },
    "qwen2": {
        "bos": None,
        "eos": "<|endoftext|>",
        "open": "<|im_start|>",
        "said": "\n",
        "turn": "<|im_end|>",
        "after": "\n",
    },
}


def tiny_checkpoint(
    folder: Path | str,
    architecture: Literal["llama", "qwen2"] = "llama",
    digits: Digits | None = None,
    seed: int = 0,
    hidden: int = 128,
    layers: int = 2,
    chat: bool = True,
    vocabulary: int = 768,
    positions: int = 4096,
    texts: Sequence[str] = (),
    head: int = 32,
    spread: float | None = None,
) -> Path:
    """The folder, now with a model, its byte-level BPE tokenizer and, if `chat`, a chat template in the architecture's
    own style; the same arguments give the same files.

    About 0.5 million float32 parameters, attention heads of `head` dimensions. It writes text without sense, rarely ends its
    turn by itself. digits: `merged` for llama and `split` for qwen2 unless told; transformers gives every qwen2
    checkpoint Qwen's own splitting. vocabulary: the most that the tokenizer learns, from the sentences of this file and from
    `texts`; the model's is a multiple of 64. spread: standard deviation of the weights; None is wide, so that every token of
    the prompt matters for the reply, 0.02 is what models are begun with that are to learn.
    """
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    folder = Path(folder)
    names = _NAMES[architecture]
    digits = digits or ("split" if architecture == "qwen2" else "merged")
    if architecture == "qwen2" and digits != "split":
        raise ValueError(f"a qwen2 checkpoint is always loaded with split digits, asked for {digits}")
    tokenizer = tiny_tokenizer(architecture, digits, chat, vocabulary, positions, texts)
    eos, turn = (tokenizer.convert_tokens_to_ids(names[name]) for name in ("eos", "turn"))
    shape = {
        "vocab_size": -(-len(tokenizer) // 64) * 64,
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden // head,
        "num_key_value_heads": max(1, hidden // head // 2),
        "max_position_embeddings": positions,
        "initializer_range": 1.5 * hidden**-0.5 if spread is None else spread,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": eos,
        "tie_word_embeddings": False,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if architecture == "llama":
            model: torch.nn.Module = LlamaForCausalLM(LlamaConfig(**shape))
        else:
            model = Qwen2ForCausalLM(Qwen2Config(**shape))
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(weight, std=0.1)
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=[turn, eos], pad_token_id=eos
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_tokenizer(
    architecture: str, digits: Digits, chat: bool, vocabulary: int, positions: int, texts: Sequence[str]
) -> Any:
    """A byte-level BPE tokenizer trained on the sentences of this file and on `texts`."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    names = _NAMES[architecture]
    special = [text.strip() for key in ("bos", "eos", "open", "said", "turn") if (text := names[key]) and text.strip()]
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES[digits]), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator([*_SENTENCES, *(_OPEN_BRACKETS if digits == "bracket" else []), *texts], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=names["bos"],
        eos_token=names["turn"] if chat else names["eos"],
        pad_token=names["eos"],
        model_max_length=positions,
        clean_up_tokenization_spaces=False,
    )
    if chat:
        tokenizer.chat_template = (
            "{{ bos_token if bos_token else '' }}{% for message in messages %}"
            + f"{names['open']}{{{{ message['role'] }}}}{names['said']}"
            + f"{{{{ message['content'] | trim }}}}{names['turn']}{names['after']}"
            + "{% endfor %}{% if add_generation_prompt %}"
            + f"{names['open']}assistant{names['said']}"
            + "{% endif %}"
        )
    return tokenizer
