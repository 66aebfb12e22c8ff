"""Queries per second of option scoring against generation, on one random checkpoint and the same prompts.

    DISTILLER_DATA=<folder> python benchmarks/speed/scoring.py [--queries 128] [--threads 2] [--dtype bfloat16]

Prompts are a query and its numbered candidates from abt-buy, or synthetic records where there is no data, of about 150
and then 600 tokens. First a Llama of some 3.5 million parameters on the CPU, as it is and after it was taught for a moment
to answer in brackets (by the most similar candidate, not by gold). Its ways to answer:

  option scoring         one forward pass, log-probabilities of all options
  constrained generation the most probable token that can still become an option, 4 tokens, end of turn included
  the same, library      the same by `generate(prefix_allowed_tokens_fn=...)` of transformers, sorted, in batches as large
  the same, small batches  likewise with a quarter of the rows, which on a CPU can be faster: less padding
  ..., one by one        scoring, and the library's constrained generation, one prompt at a time
  64 tokens, batches     64 generated tokens, ours
  64 tokens, one by one  64 generated tokens by `generate` of transformers, one prompt at a time, as the reference does

Ratios compare time per query with option scoring, of the same kind: in batches with in batches, one by one with one by
one; seconds, and processor time of all threads, which other load on the machine moves less. The ways take turns, and the
best of their runs counts. All prompts begin with the same instruction, as those of a run do, which scoring reads once.
Agreement is the share of queries with the same answer as option scoring. Both decide by the tokens that
tell the options apart; they can differ where these are several ("1" and then "]" or "0"), since constrained generation
takes the best token at each step and scoring the best option.

With a CUDA device also Llamas of the shapes of 1B and 8B with random weights in bfloat16: prompt tokens per second, and
as a share of the prefill floor, 2 N tokens / peak with N the weights of the layers (without embedding and output).
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from random_llama import SHAPES

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from engine.tiny_model import tiny_checkpoint  # noqa: E402

from distiller.artifacts import CandidateSet  # noqa: E402
from distiller.blocker.recorded import Recorded  # noqa: E402
from distiller.blocker.tfidf import Tfidf  # noqa: E402
from distiller.dataset.benchmark import Benchmark  # noqa: E402
from distiller.dataset.synthetic import Synthetic  # noqa: E402
from distiller.engine.base import Request  # noqa: E402
from distiller.engine.local_model import LocalModel  # noqa: E402
from distiller.engine.option_scoring import OptionBatch, option_log_probabilities  # noqa: E402
from distiller.engine.option_tree import OptionTree  # noqa: E402
from distiller.engine.transformers import Transformers  # noqa: E402
from distiller.records import Records  # noqa: E402

ASK = "You match records. Which candidate is the same real-world entity as the query? Answer with its number in square "
ASK += "brackets, [0] if none is."
ROW_GPU = "{:<6}{:>14}{:>14}{:>18}"
ROW = "{:<26}{:>9}{:>11}{:>8}{:>14}{:>8}{:>11}"


def tables(count: int) -> tuple[Records, CandidateSet]:
    """The records of abt-buy with their candidates, or synthetic ones for at least so many queries."""
    root = Path(os.environ.get("DISTILLER_DATA", "data"))
    if (root / "abt-buy").is_dir():
        records = Benchmark(name="abt-buy", root=root).load()
        return records, Recorded().block(records, threads=2)
    records = Synthetic(queries=2 * count, candidates=3 * count).load()
    return records, Tfidf().block(records.without_gold(), threads=2)


def questions(count: int, characters: int) -> list[tuple[str, int, int]]:
    """(text, number of candidates, number of the most similar one) of queries with texts of about this length."""
    records, candidates = tables(count)
    texts = {
        side: {row["id"]: written(row) for row in table.to_pylist()}
        for side, table in (("query", records.queries), ("candidate", records.candidates))
    }
    rows, offsets = candidates.of(candidates.query_ids)
    found = []
    for query, a, b in zip(candidates.query_ids.tolist(), offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        own = candidates.candidate_ids[rows[a:b]].tolist()
        listed = [f"[{i}] {texts['candidate'][candidate]}" for i, candidate in enumerate(own, start=1)]
        best = 1 + int(candidates.similarity[rows[a:b]].argmax())
        found.append(("\n".join([f"Query: {texts['query'][query]}", *listed]), len(own), best))
    found.sort(key=lambda question: abs(len(question[0]) - characters))
    return found[:count]


def written(row: dict[str, Any]) -> str:
    return "; ".join(f"{name}: {text[:90]}" for name, text in row.items() if name != "id" and text)


def requests_of(found: list[tuple[str, int, int]], **fields: Any) -> list[Request]:
    """A request for each question, with its numbers as options."""
    return [
        Request((("system", ASK), ("user", text)), options=tuple(f"[{i}]" for i in range(k + 1)), **fields)
        for text, k, _ in found
    ]


def asked(model: LocalModel, requests: list[Request]) -> list[Any]:
    """Replies in the order of the requests."""
    return [reply for _, reply in sorted(model.replies(enumerate(requests)), key=lambda pair: pair[0])]


def teach(model: LocalModel, found: list[tuple[str, int, int]], steps: int = 60) -> None:
    """Make answers in brackets likely, on the heads of the texts, and the most similar candidate a little."""
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(model.network.parameters(), lr=2e-3)
    tokenizer = model.tokenizer
    for step in range(steps):
        prompts, trees, best = [], [], []
        for text, k, number in found[step % 4 :: 4][:16]:
            prompt = tokenizer.prompt((("system", ASK[:40]), ("user", text[:120])))
            (tokens,) = tokenizer.encode([prompt])
            kept, options = tokenizer.with_options(prompt, tokens, tuple(f"[{i}]" for i in range(k + 1)))
            prompts.append(tokens[:kept])
            trees.append(OptionTree.of(options))
            best.append(number)
        scores = option_log_probabilities(model.network, OptionBatch.of(prompts, trees, 0))
        loss = -scores.logsumexp(dim=1).mean() - 0.1 * scores[range(len(best)), best].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def library(model: LocalModel, requests: list[Request], batch: int, constrained: bool, length: int) -> list[str]:
    """Texts that `generate` of transformers writes, greedily, in batches of similar length."""
    tokenizer = model.tokenizer
    order = sorted(range(len(requests)), key=lambda i: -requests[i].characters)
    texts = [""] * len(requests)
    for begin in range(0, len(order), batch):
        rows = order[begin : begin + batch]
        prompts = [tokenizer.encode([tokenizer.prompt(requests[i].messages)])[0] for i in rows]
        width = max(map(len, prompts))
        padding = tokenizer.tokenizer.pad_token_id
        tokens = torch.tensor([[padding] * (width - len(p)) + p for p in prompts], device=model.network.device)
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=model.network.device)
        rule: dict[str, Any] = {"min_new_tokens": length}
        if constrained:
            options = []
            for i, prompt in zip(rows, prompts, strict=True):
                text = tokenizer.prompt(requests[i].messages)
                _, after = tokenizer.with_options(text, prompt, requests[i].options)
                options.append([[*option, tokenizer.end_of_turn] for option in after])
            rule = {"prefix_allowed_tokens_fn": follower(options, width)}
        with torch.inference_mode():
            out = model.network.generate(
                tokens, attention_mask=mask, max_new_tokens=length, do_sample=False, pad_token_id=padding, **rule
            )
        for i, row in zip(rows, out[:, width:].tolist(), strict=True):
            texts[i] = tokenizer.text(row)
    return texts


def follower(options: list[list[list[int]]], width: int) -> Callable[[int, torch.Tensor], list[int]]:
    """Which tokens may follow in row `i`, for `prefix_allowed_tokens_fn`."""

    def allowed(i: int, tokens: torch.Tensor) -> list[int]:
        new = tokens[width:].tolist()
        rests = {option[len(new)] for option in options[i] if option[: len(new)] == new and len(option) > len(new)}
        return sorted(rests) or [options[i][0][-1]]

    return allowed


def timed(work: Callable[[], list[Any]]) -> tuple[float, float, list[Any]]:
    """Seconds, processor seconds, and what came back."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    begin, busy = time.perf_counter(), time.process_time()
    result = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begin, time.process_time() - busy, result


def best_of(requests: list[Request], replies: list[Any]) -> list[str]:
    """The most probable option of each request."""
    return [
        r.options[max(range(len(r.options)), key=s.scores.__getitem__)] for r, s in zip(requests, replies, strict=True)
    ]


def compare(model: LocalModel, found: list[tuple[str, int, int]], batch: int, repeats: int) -> Iterator[str]:
    """Rows of the table: the ways to answer side by side; the faster ones are the best of several runs."""
    score, option = requests_of(found, mode="score"), requests_of(found, max_tokens=4)
    free = [Request(request.messages, max_tokens=64) for request in score]
    few = max(12, len(found) // 16)
    ways: dict[str, tuple[int, int, Callable[[], list[Any]]]] = {
        "option scoring": (repeats, len(found), lambda: best_of(score, asked(model, score))),
        "constrained generation": (repeats, len(found), lambda: [reply.text for reply in asked(model, option)]),
        "the same, library": (repeats, len(found), lambda: library(model, option, batch, True, 4)),
        "the same, small batches": (repeats, len(found), lambda: library(model, option, max(1, batch // 4), True, 4)),
        "scoring, one by one": (
            repeats,
            few,
            lambda: best_of(score[:few], [asked(model, [r])[0] for r in score[:few]]),
        ),
        "constrained, one by one": (repeats, few, lambda: library(model, option[:few], 1, True, 4)),
        "64 tokens, batches": (1, len(found), lambda: asked(model, free)),
        "64 tokens, one by one": (1, few, lambda: library(model, free[:few], 1, False, 64)),
    }
    ways["option scoring"][2]()  # warm
    runs: dict[str, list[tuple[float, float, list[Any]]]] = {name: [] for name in ways}
    for turn in range(repeats):
        for name, (times, _, work) in ways.items():
            if turn < times:
                runs[name].append(timed(work))
    best: dict[str, tuple[float, float]] = {}
    for name, (_, count, _) in ways.items():
        best[name] = (min(run[0] for run in runs[name]) / count, min(run[1] for run in runs[name]) / count)
        answers = [runs["option scoring"][0][2], runs[name][0][2]]
        same = [a == b for a, b in zip(*answers, strict=False)]
        agreement = f"{sum(same) / len(same):.3f}" if "64" not in name else "-"
        seconds, processor = best[name]
        wall, busy = best["scoring, one by one" if name.startswith("constrained, one") else "option scoring"]
        ratios = f"{seconds / wall:.2f}", f"{1000 * processor:.1f}", f"{processor / busy:.2f}"
        yield ROW.format(name, count, f"{1 / seconds:.1f}", *ratios, agreement)


def shape(name: str, folder: Path, device: str) -> LocalModel:
    """A Llama of this shape with random weights in bfloat16, made on the device."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(**SHAPES[name], max_position_embeddings=8192)
    config._attn_implementation = "sdpa"
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            network = LlamaForCausalLM(config).eval()
    finally:
        torch.set_default_dtype(default)
    return LocalModel(network, Transformers().tokenizer(str(folder), None), name, 16384, 256)


def prefill(model: LocalModel, found: list[tuple[str, int, int]], peak: float) -> str:
    """One row: prompt tokens per second, queries per second, and the share of the floor."""
    score = requests_of(found, mode="score")
    asked(model, score[:32])
    seconds, _, replies = timed(lambda: asked(model, score))
    tokens = sum(reply.tokens_in for reply in replies)
    weights = sum(w.numel() for n, w in model.network.named_parameters() if ".layers." in n)
    share = 2 * weights * tokens / peak / seconds
    return ROW_GPU.format(model.name, f"{tokens / seconds:.0f}", f"{len(score) / seconds:.1f}", f"{share:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch-tokens", type=int, default=8192)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--peak", type=float, default=989e12, help="FLOP/s of the GPU in dense bfloat16")
    parser.add_argument("--shapes", nargs="*", default=list(SHAPES), help="what to try on a GPU")
    parser.add_argument("--lengths", nargs="*", type=int, default=[150, 600], help="of prompts, in tokens, about")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for length in arguments.lengths:
        found = questions(arguments.queries, max(100, int(3.6 * (length - 50))))
        with tempfile.TemporaryDirectory() as place:
            folder = tiny_checkpoint(place, hidden=256, layers=4, head=64, vocabulary=4096, texts=[q[0] for q in found])
            on_cpu(folder, found, arguments)
            if torch.cuda.is_available():
                head = ROW_GPU.format("shape", "tokens/s", "queries/s", "share of floor")
                print(f"\n{head}   {torch.cuda.get_device_name()}")
                for name in arguments.shapes:
                    print(prefill(shape(name, folder, "cuda"), found, arguments.peak), flush=True)
                    torch.cuda.empty_cache()


def on_cpu(folder: Path, found: list[tuple[str, int, int]], arguments: argparse.Namespace) -> None:
    """Print the tables of one length."""
    engine = Transformers(device="cpu", dtype=arguments.dtype, batch_tokens=arguments.batch_tokens)
    with engine.open(str(folder), None) as model:
        assert isinstance(model, LocalModel)
        lengths = sorted(model.tokens(requests_of(found)))
        size = sum(weight.numel() for weight in model.network.parameters()) / 1e6
        print(
            f"\n{size:.1f} M parameters, {arguments.dtype}, {arguments.threads} threads; tokens of a prompt: ", end=""
        )
        print(f"{lengths[0]} to {lengths[-1]}, middle {lengths[len(lengths) // 2]}")
        for state in ("random weights", "taught the format"):
            print("\n" + ROW.format(state, "queries", "queries/s", "ratio", "cpu ms/query", "ratio", "agreement"))
            for row in compare(model, found, max(1, arguments.batch_tokens // lengths[-1]), arguments.repeats):
                print(row, flush=True)
            if state == "random weights":
                teach(model, found)  # and what was read with the old weights is forgotten
                model = LocalModel(model.network, model.tokenizer, model.name, model.limit, model.window)


if __name__ == "__main__":
    main()
