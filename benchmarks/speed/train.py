"""Useful tokens per second of training: our SFT against TRL's SFTTrainer, on one model and the very same examples.

    DISTILLER_DATA=<folder> python benchmarks/speed/train.py [--queries 96] [--threads 2] [--precision bf16] [--rank 16]

Examples are prompts of the `label` elicitation about abt-buy (synthetic records where there is no data) with the most similar
candidate as answer: the loss is on the answer and the end of its turn, for both. Both get the same tokens, read from the
same checkpoint, and train one epoch with AdamW in the same precision; what is timed is the whole call that trains, data
order, batches and optimiser included, tokenizing not. Useful tokens are those of prompt and answer, without padding.

  ours                 the `sft` algorithm with student.batch_tokens as many as TRL's 8 prompts have
  TRL, defaults        per_device_train_batch_size=8, a random order, padding; gradient checkpointing is on
  TRL, packing         packing=True: sequences of 1,024 tokens without padding, 8 of them in a step

Each is run as it comes (gradient checkpointing on, the default of both) and without checkpointing, in turn, several times;
the best time of each counts. `ratio` is how many times faster ours is, in seconds and in processor time.

Then prediction: option scoring in batches against the reference's way, 64 tokens by `generate`, one prompt at a time.

The model is a Llama of some 3.5 million parameters on the CPU. With a CUDA device also Llamas of the shapes of 1B and 8B
with random weights in bfloat16 and a LoRA adapter, with the share of 4 N tokens / peak that ours reaches: N the weights of
the layers, forward and backward pass without the frozen weights' gradients.
"""

import argparse
import gc
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from random_llama import SHAPES, random_llama
from scoring import library, requests_of, tables, timed, written

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from engine.tiny_model import tiny_checkpoint  # noqa: E402

from distiller.algorithm.course import Course  # noqa: E402
from distiller.algorithm.lightning_fit import teach  # noqa: E402
from distiller.algorithm.sft_module import sft_loss  # noqa: E402
from distiller.artifacts import AnswerSet  # noqa: E402
from distiller.elicitation.label import Label  # noqa: E402
from distiller.engine.local_model import LocalModel  # noqa: E402
from distiller.engine.transformers import Transformers  # noqa: E402
from distiller.store import Store  # noqa: E402
from distiller.student.base import Classroom, Lesson  # noqa: E402
from distiller.student.language import Language  # noqa: E402
from distiller.task import Task  # noqa: E402
from distiller.trainer import Trainer  # noqa: E402

ROW = "{:<22}{:>15}{:>10}{:>9}{:>9}{:>12}{:>9}{:>9}"
HEAD = ROW.format("training", "checkpointing", "tokens/s", "padding", "ratio", "cpu s/1000", "ratio", "of peak")


@dataclass(frozen=True)
class Setting:
    """What both sides have in common. rank: of the adapter, 0 trains all weights. precision: fp32 or bf16."""

    folder: Path
    queries: int
    prompt_tokens: int
    rank: int
    precision: str
    threads: int
    cuda: bool
    peak: float


@dataclass(frozen=True)
class Run:
    """One timed training."""

    seconds: float
    busy: float
    tokens: int
    padding: float | None


def lesson(queries: int, place: Path) -> Lesson:
    """Queries with their most similar candidate as answer, "none" for the half whose most similar one is the least so."""
    records, candidates = tables(queries)
    task = Task(records.without_gold(), candidates, Store(root=place / "store"), 1)
    ids = candidates.query_ids[:queries]
    rows, offsets = candidates.of(ids)
    own = np.split(candidates.similarity[rows], offsets[1:-1])
    least = np.median([similarity.max() for similarity in own])
    choice = np.array([1 + int(similarity.argmax()) if similarity.max() >= least else 0 for similarity in own])
    answers = AnswerSet.make("similar", ids, candidates.candidate_ids[rows], offsets, choice)
    return Lesson.of(task, answers, soft=False)


def student(setting: Setting, recompute: bool, batch_tokens: int) -> Language:
    return Language(
        model=str(setting.folder),
        elicitation=Label(serialization="plain", reply="score", prompt_tokens=setting.prompt_tokens),
        dtype="bfloat16" if setting.precision == "bf16" else "float32",
        rank=setting.rank,
        epochs=1,
        batch_tokens=batch_tokens,
        held_out=1e-6,
        gradient_checkpointing=recompute,
    )


def classroom(setting: Setting, lessons: list[Lesson], recompute: bool, batch_tokens: int) -> tuple[Classroom, Trainer]:
    mixed = "bf16-mixed" if setting.cuda and setting.precision == "bf16" else "32-true"
    trainer = Trainer(accelerator="gpu" if setting.cuda else "cpu", precision=mixed)
    return student(setting, recompute, batch_tokens).classroom(lessons, trainer, setting.threads, taught=True), trainer


def examples_of(room: Classroom) -> list[tuple[list[int], list[int]]]:
    """Tokens of prompt and answer of each example of the first epoch."""
    examples = [example for group in room.batches(0).groups for example in group]  # type: ignore[attr-defined]
    return [(example.prompt, [token for _, token in example.tree.steps[0]]) for example in examples]


def ours(setting: Setting, lessons: list[Lesson], recompute: bool, batch_tokens: int, tokens: int) -> Run:
    room, trainer = classroom(setting, lessons, recompute, batch_tokens)
    seconds, busy, _ = timed(lambda: [teach(Course(room, sft_loss), trainer)])
    return Run(seconds, busy, tokens, room.batches(0).padding)  # type: ignore[attr-defined]


def theirs(
    setting: Setting, examples: list[tuple[list[int], list[int]]], recompute: bool, packing: bool, place: Path
) -> Run:
    """TRL's trainer, with its defaults but for the model's precision, and reports."""
    from datasets import Dataset
    from peft import LoraConfig, TaskType
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    bf16 = setting.precision == "bf16"
    weights = torch.bfloat16 if bf16 and setting.rank else torch.float32
    model = AutoModelForCausalLM.from_pretrained(setting.folder, dtype=weights, attn_implementation="sdpa")
    adapter = None
    if setting.rank:
        adapter = LoraConfig(
            r=setting.rank, lora_alpha=32, target_modules="all-linear", lora_dropout=0.0, task_type=TaskType.CAUSAL_LM
        )
    data = Dataset.from_list(
        [{"input_ids": [*a, *b], "completion_mask": [0] * len(a) + [1] * len(b)} for a, b in examples]
    )
    config = SFTConfig(
        output_dir=str(place),
        num_train_epochs=1,
        use_cpu=not setting.cuda,
        bf16=bf16,
        gradient_checkpointing=recompute,
        packing=packing,
        completion_only_loss=True,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )
    tokenizer = AutoTokenizer.from_pretrained(setting.folder)
    trainer = SFTTrainer(model, args=config, train_dataset=data, processing_class=tokenizer, peft_config=adapter)
    padding = None
    if not packing:
        read = [batch["input_ids"].numel() for batch in trainer.get_train_dataloader()]
        padding = 1 - sum(len(a) + len(b) for a, b in examples) / sum(read)
    seconds, busy, _ = timed(lambda: [trainer.train()])
    return Run(seconds, busy, sum(len(a) + len(b) for a, b in examples), padding)


def training(setting: Setting, repeats: int, place: Path) -> Iterator[str]:
    """Rows of the table."""
    lessons = [lesson(setting.queries, place)]
    examples = examples_of(classroom(setting, lessons, False, 8192)[0])
    lengths = sorted(len(a) + len(b) for a, b in examples)
    tokens = sum(lengths)
    batch_tokens = 8 * lengths[-1]
    yield f"{len(lengths)} examples of {lengths[0]} to {lengths[-1]} tokens, {tokens} in all; {describe(setting)}"
    yield HEAD
    ways: dict[tuple[str, bool], Callable[[], Run]] = {}
    for recompute in (True, False):
        ways["ours", recompute] = lambda r=recompute: ours(setting, lessons, r, batch_tokens, tokens)  # type: ignore[misc]
        for name, packing in (("TRL, defaults", False), ("TRL, packing", True)):
            ways[name, recompute] = lambda r=recompute, p=packing: theirs(setting, examples, r, p, place / "trl")  # type: ignore[misc]
    runs: dict[tuple[str, bool], list[Run]] = {way: [] for way in ways}
    for _ in range(repeats + 1):  # the first round warms up
        for way, work in ways.items():
            runs[way].append(work())
            free()
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        network = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(setting.folder))
    weights = sum(w.numel() for n, w in network.named_parameters() if ".layers." in n)
    for (name, recompute), found in runs.items():
        timed_runs, own = found[1:], runs["ours", recompute][1:]
        seconds, busy = min(r.seconds for r in timed_runs), min(r.busy for r in timed_runs)
        rate = tokens / seconds
        yield ROW.format(
            name,
            "on" if recompute else "off",
            f"{rate:.0f}",
            "-" if found[0].padding is None else f"{found[0].padding:.1%}",
            f"{seconds / min(r.seconds for r in own):.2f}",
            f"{1e3 * busy / tokens:.3f}",
            f"{busy / min(r.busy for r in own):.2f}",
            f"{(4 if setting.rank else 6) * weights * rate / setting.peak:.3f}" if setting.cuda else "-",
        )


def prediction(setting: Setting, few: int) -> Iterator[str]:
    """Option scoring in batches against 64 generated tokens, one prompt at a time."""
    records, candidates = tables(setting.queries)
    texts = {
        side: {row["id"]: written(row) for row in table.to_pylist()}
        for side, table in (("query", records.queries), ("candidate", records.candidates))
    }
    found = []
    for query in candidates.query_ids[: setting.queries].tolist():
        rows, _ = candidates.of(np.array([query]))
        shown = [texts["candidate"][i] for i in candidates.candidate_ids[rows].tolist()]
        listed = "\n".join(f"[{i}] {text}" for i, text in enumerate(shown, start=1))
        found.append((f"Query: {texts['query'][query]}\n{listed}", len(shown), 1))
    engine = Transformers(
        device="cuda" if setting.cuda else "cpu", dtype="bfloat16" if setting.precision == "bf16" else "float32"
    )
    with engine.open(str(setting.folder), None) as model:
        assert isinstance(model, LocalModel)
        asked = requests_of(found, mode="score")
        free_text = requests_of(found[:few], max_tokens=64)
        scored: list[tuple[float, float]] = []
        wrote: list[tuple[float, float]] = []
        for _ in range(3):
            seconds, busy, _ = timed(lambda: list(model.replies(enumerate(asked))))
            scored.append((seconds / len(asked), busy / len(asked)))
            seconds, busy, _ = timed(lambda: library(model, free_text, 1, False, 64))
            wrote.append((seconds / few, busy / few))
    yield f"prediction, {len(asked)} prompts of about {np.mean(model.tokens(asked)):.0f} tokens; {describe(setting)}"
    fast, slow = (tuple(min(column) for column in zip(*rows, strict=True)) for rows in (scored, wrote))
    yield f"  option scoring         {1 / fast[0]:8.1f} queries/s   {1e3 * fast[1]:8.1f} cpu ms/query"
    yield f"  64 tokens, one by one  {1 / slow[0]:8.1f} queries/s   {1e3 * slow[1]:8.1f} cpu ms/query"
    yield f"  ratio                  {slow[0] / fast[0]:8.1f}             {slow[1] / fast[1]:8.1f}"


def describe(setting: Setting) -> str:
    device = torch.cuda.get_device_name() if setting.cuda else f"{setting.threads} threads"
    weights = f"LoRA of rank {setting.rank}" if setting.rank else "all weights trained"
    return f"{setting.precision}, {weights}, {device}, torch {torch.__version__}"


def free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=96)
    parser.add_argument("--prompt-tokens", type=int, default=512, help="the longest prompt")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--rank", type=int, default=0, help="of the adapter; 0 trains all weights (CPU)")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="on the CPU")
    parser.add_argument("--peak", type=float, default=989e12, help="FLOP/s of the GPU in dense bfloat16")
    parser.add_argument("--shapes", nargs="*", choices=list(SHAPES), default=list(SHAPES), help="what to try on a GPU")
    parser.add_argument("--only", choices=["training", "prediction"], help="one of the two tables")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(arguments.threads)
    records, _ = tables(arguments.queries)
    texts = [written(row) for table in (records.queries, records.candidates) for row in table.to_pylist()[:1000]]
    common = (arguments.queries, arguments.prompt_tokens)
    with tempfile.TemporaryDirectory() as place:
        folder = tiny_checkpoint(Path(place) / "tiny", hidden=256, layers=4, head=64, vocabulary=4096, texts=texts)
        show(
            Setting(folder, *common, arguments.rank, arguments.precision, arguments.threads, False, arguments.peak),
            arguments,
            Path(place),
        )
        for shape in arguments.shapes if torch.cuda.is_available() else ():
            large = Path(place) / shape
            weights = random_llama(large, shape, texts, "cuda")
            free()
            print(f"\nLlama of {weights / 1e9:.2f} billion weights", flush=True)
            rank = arguments.rank or 16
            show(Setting(large, *common, rank, "bf16", arguments.threads, True, arguments.peak), arguments, Path(place))


def show(setting: Setting, arguments: argparse.Namespace, place: Path) -> None:
    """Print the tables of one model."""
    begin = time.perf_counter()
    if arguments.only != "prediction":
        for row in training(setting, arguments.repeats, place):
            print(row, flush=True)
    if arguments.only != "training":
        for row in prediction(setting, few=6):
            print(row, flush=True)
    print(f"({time.perf_counter() - begin:.0f} s)")


if __name__ == "__main__":
    main()
