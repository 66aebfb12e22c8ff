"""A student that is a causal language model: asked like a teacher, it learns the answer and nothing of the prompt."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from distiller.artifacts import AnswerSet, Checkpoint
from distiller.config import DistillerError, component, part, runtime
from distiller.elicitation.answers import answer_set
from distiller.elicitation.asking import Answering
from distiller.elicitation.base import Elicitation
from distiller.engine.hub import check_model, fingerprint
from distiller.engine.transformers import Transformers
from distiller.store import Store
from distiller.student.base import Classroom, GradientStudent, Lesson, split
from distiller.student.language_reply import explains, learnable, scored, with_rationales
from distiller.task import Task
from distiller.trainer import Trainer

SETTINGS = "student.json"


@component
class Language(GradientStudent):
    """A causal language model of the transformers library, trained through a LoRA adapter or whole.

    It is asked in the way of its elicitation, with the candidates in a new order in every epoch, and trained on the text
    that this would have it reply, with the token that ends the turn. All options of a prompt are read in one pass.
    Asked for a bare number (`score`, `label`), it answers by the scores of the options (elicitation.reply=score) or by writing
    (generate), and stops at the answer.

    Asked to explain (`explain`), it learns the answer and then the rationale that the teacher gave, in which candidates that
    it names by number have their numbers in the student's own prompt; where the teacher gave none, the answer alone. It
    answers by the scores of the options' first words, which cost no more than those of bare numbers.
    rationales: write a rationale after each answer, to the end of the turn or to elicitation.reply_tokens. It concerns the
    answers alone, so that students that differ in it share a checkpoint.

    model: id on the hub, or path of a local folder. dtype: of the weights that stay as they are and of the computation;
    what is trained is kept in float32. quantize: `4bit` keeps the base in 4 bits while training (NF4, QLoRA), and needs the
    library bitsandbytes; answers are given by the base in `dtype`. rank: of the adapter, 0 trains all weights. alpha: the
    adapter's share is alpha / rank. targets: names of the layers that get an adapter, or all linear ones but the last.
    batch_tokens: tokens of an optimisation step, padding included. warmup: share of the steps over which the learning
    rate rises. held_out: share of the queries on which the best epoch is chosen. inference_tokens: of a batch when
    answering.

    Source: LoRA, Hu et al. 2022; QLoRA, Dettmers et al. 2023.
    """

    SHARDS = True

    model: str
    revision: str | None = None
    elicitation: Elicitation = part()
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    quantize: Literal["none", "4bit"] = "none"
    rank: Annotated[int, Field(ge=0)] = 16
    alpha: Annotated[float, Field(gt=0)] = 32.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    targets: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    epochs: Annotated[int, Field(ge=1)] = 3
    batch_tokens: Annotated[int, Field(ge=1)] = 8192
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.1
    seed: int = 1924
    rationales: bool = False
    gradient_checkpointing: bool = runtime(True)
    inference_tokens: Annotated[int, Field(ge=1)] = runtime(8192)

    @model_validator(mode="after")
    def _fields_fit_together(self) -> "Language":
        if not learnable(self.elicitation):
            raise ValueError(
                "a student learns to reply with a bare number, or with a number and a rationale, and "
                f"elicitation={type(self.elicitation).__name__.lower()} asks for something else; set "
                "elicitation@student.elicitation=score or explain"
            )
        if self.rationales and not self.explains:
            raise ValueError(
                "rationales=true needs a student that has learnt to explain; set elicitation@student.elicitation=explain, or "
                "rationales=false"
            )
        if self.quantize != "none" and not self.rank:
            raise ValueError(
                "quantize=4bit keeps the base as it is, and rank=0 trains it; set rank above 0 or quantize=none"
            )
        return self

    def refuses(self, trainer: Trainer) -> str | None:
        if trainer.strategy == "fsdp" and self.quantize != "none":
            return "trainer.strategy=fsdp shares out weights that are not quantized; set student.quantize=none or trainer=ddp"
        return super().refuses(trainer)

    @property
    def explains(self) -> bool:
        """Whether it learns rationales beside answers."""
        return explains(self.asking)

    @property
    def asking(self) -> Answering:
        """How it is asked."""
        assert isinstance(self.elicitation, Answering)
        return self.elicitation

    def learner(self) -> "Language":
        return replace(self, rationales=False)

    def label(self) -> str:
        return self.model.rstrip("/").rsplit("/", 1)[-1]

    def fingerprints(self) -> list[str]:
        own = fingerprint(self.model)
        return [own] if own else []

    def ready(self, store: Store) -> None:
        for library, field, extra in (
            ("peft", f"rank={self.rank}" if self.rank else "", "local"),
            ("bitsandbytes", "quantize=4bit" if self.quantize == "4bit" else "", "quantized"),
        ):
            if field and importlib.util.find_spec(library) is None:
                raise DistillerError(
                    f"student.{field} needs the library {library}: pip install 'distiller-er[{extra}]'"
                )
        check_model(self.model, self.revision)

    def classroom(
        self,
        lessons: list[Lesson],
        trainer: Trainer,
        threads: int,
        taught: bool = False,
        rivals: bool = False,
        start: Path | None = None,
        frozen: bool = False,
    ) -> Classroom:
        """See `GradientStudent.classroom`.

        taught: batches hold only the options that have a share in the target, all that a cross-entropy needs. rivals: options
        that the teacher did not choose have their rationales, too, where it gave any.
        start: folder of a checkpoint of this student to go on from. frozen: keep the weights of the start as a reference.
        """
        from distiller.student.language_lessons import ExampleBatches, Rendering, batches
        from distiller.student.language_model import Adapter, OptionModel

        if self.explains and not any(query in each.reasons for each in lessons for query in each.query_ids.tolist()):
            raise DistillerError(
                f"the teacher gave no rationale that {self.label()} could learn; choose a teacher that explains its answers, "
                "by elicitation@teacher.elicitation=explain, or set elicitation@student.elicitation=score"
            )
        learnt, kept = split(lessons, self.held_out, self.seed)
        adapter = Adapter(self.rank, self.alpha, self.dropout, self.targets) if self.rank else None
        model = OptionModel.load(
            self.model,
            self.revision,
            dtype=self.dtype,
            quantized=self.quantize == "4bit",
            adapter=adapter,
            start=start,
            frozen=frozen,
            recompute=self.gradient_checkpointing,
        )
        asking = self.asking
        rendering = Rendering(asking, model.tokenizer, model.longest, rivals)

        def drawn(epoch: int) -> ExampleBatches:
            draw = np.random.default_rng([self.seed, epoch])
            way = replace(asking, order="shuffled", orders=1, seed=int(draw.integers(2**62)))
            examples = replace(rendering, elicitation=way).examples(learnt, taught)
            return batches(examples, self.batch_tokens, draw, model.padding)

        def validation() -> ExampleBatches:
            return batches(rendering.examples(kept), self.inference_tokens, None, model.padding)

        first = drawn(0)

        def training(epoch: int) -> ExampleBatches:
            return drawn(epoch) if epoch else first

        def save(folder: Path) -> dict[str, Any]:
            model.save(folder)
            settings = {"model": self.model, "revision": self.revision, "dtype": self.dtype, "rank": self.rank}
            (folder / SETTINGS).write_text(json.dumps(settings, indent=1), encoding="utf-8")
            return {"trained_weights": model.trained_weights, "padding": first.padding, "tokens": first.tokens}

        return Classroom(
            model=model,
            batches=training,
            validation=validation,
            epochs=self.epochs,
            steps=self.epochs * len(first),
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            warmup=self.warmup,
            seed=self.seed,
            save=save,
        )

    def answer(
        self, checkpoint: Checkpoint, task: Task, query_ids: np.ndarray, trainer: Trainer, threads: int
    ) -> AnswerSet:
        import torch

        from distiller.engine.local_model import LocalModel

        torch.set_num_threads(threads)
        engine = Transformers(
            dtype=self.dtype,
            adapter=str(checkpoint.folder) if self.rank else None,
            device="cpu" if trainer.accelerator == "cpu" else "auto",
            attention="sdpa",
            batch_tokens=self.inference_tokens,
            window=256,
        )
        model, revision = (self.model, self.revision) if self.rank else (str(checkpoint.folder), None)
        asking = self.asking
        with engine.open(model, revision) as loaded:
            assert isinstance(loaded, LocalModel)
            prompts = asking.prompts(task, query_ids, loaded.text_tokens)
            requests = [scored(asking, prompt) if self.explains else prompt.request for prompt in prompts]
            replies = dict(loaded.replies(enumerate(requests)))
            if failed := next((reply.error for reply in replies.values() if reply.error), None):
                raise DistillerError(f"{self.label()} cannot answer: {failed}")
            answers = answer_set(self.label(), task, asking, prompts, [replies[i] for i in range(len(prompts))])
            return with_rationales(answers, asking, prompts, loaded) if self.rationales else answers
