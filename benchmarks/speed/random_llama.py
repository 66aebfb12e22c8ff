"""Write a Llama of a well-known shape with random weights, and a tokenizer trained on the spot, as a checkpoint.

    python benchmarks/speed/random_llama.py --shape 1b FOLDER

It answers nonsense in the time and the memory that the real one takes: bfloat16, 2.5 GB on disk for 1b, 16 GB for 8b. The
tokenizer knows the prompts of abt-buy (of synthetic records where there is no data), so that lengths are of the usual order.
"""

import argparse
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from engine.tiny_model import tiny_tokenizer  # noqa: E402

COMMON = {"num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "rope_theta": 500000.0}
SHAPES = {
    "1b": {
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        **COMMON,
        "tie_word_embeddings": True,
    },
    "8b": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, **COMMON},
}


def random_llama(folder: Path, shape: str, texts: list[str], device: str = "cpu", positions: int = 8192) -> int:
    """Write the checkpoint; returns the number of its weights. texts: what the tokenizer is trained on, 16,000 tokens at most."""
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    tokenizer = tiny_tokenizer("llama", "merged", True, 16000, positions, texts)
    turn, end = tokenizer.eos_token_id, tokenizer.pad_token_id
    config = LlamaConfig(
        **SHAPES[shape], max_position_embeddings=positions, bos_token_id=tokenizer.bos_token_id, eos_token_id=end
    )
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        torch.manual_seed(0)
        with torch.device(device):
            network = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(usual)
    network.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=[turn, end], pad_token_id=end
    )
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return sum(weight.numel() for weight in network.parameters())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shape", choices=list(SHAPES), default="1b")
    arguments = parser.parse_args()
    from scoring import questions

    weights = random_llama(arguments.folder, arguments.shape, [text for text, _, _ in questions(500, 2000)])
    disk = sum(file.stat().st_size for file in arguments.folder.iterdir()) / 1e9
    print(f"{weights / 1e9:.2f} billion weights in bfloat16, {disk:.2f} GB in {arguments.folder}")


if __name__ == "__main__":
    main()
