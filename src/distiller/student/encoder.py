"""A student that is an encoder: it reads a query and a candidate together, and the candidates of a query compete."""

import copy
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from distiller import ragged
from distiller.artifacts import AnswerSet, Checkpoint
from distiller.config import DistillerError, component, runtime
from distiller.engine.hub import fingerprint
from distiller.store import Store
from distiller.student import listwise
from distiller.student.base import Classroom, GradientStudent, Lesson, split
from distiller.student.calibrated import SETTINGS, calibrated_answers, write_settings
from distiller.student.encoder_text import Form, PairText, Template
from distiller.student.encoder_weights import load_encoder, longest_pair, quiet, source
from distiller.task import Task
from distiller.trainer import Trainer

ENCODER, HEAD = "encoder", "head.safetensors"


@component
class Encoder(GradientStudent):
    """A cross-encoder of the transformers library with a fresh head that scores each (query, candidate) pair.

    objective: `listwise` lets the candidates of a query compete with "none" in one softmax; `pairwise` judges every pair
    alone by binary cross-entropy, as the paper does. Either way a query is learnt from once, with one target (fault Q7).
    The epoch, the sureness and the readiness to abstain are chosen on the teacher's answers to the held-out queries; the
    latter is what takes the place of class weights, of which the paper has none (fault Q29).

    model: id on the hub, path of a local folder, or an id that an installed package carries. attributes: columns that are
    read, null for all. longest: tokens of a pair, special tokens included; where a pair has more, each record gets half
    and what one does not need goes to the other, and its longest values lose their ends, never its column names.
    none: the logit of "none" is `zero`, or `learned` from the query's pairs. pooling: what the head sees of a pair, the
    `first` token, the `mean` of all, or `compare`: product and difference of the means of both records. inference:
    precision of the weights when answering, `auto` is bfloat16 where the processor computes in it, else float32; training
    follows trainer.precision. inference_batch: pairs read at once when answering.

    Source: arXiv 2602.05452, the small language models as students (METHOD 6.2 of the reference's code).
    """

    model: str
    revision: str | None = None
    objective: Literal["listwise", "pairwise"] = "listwise"
    none: Literal["zero", "learned"] = "zero"
    pooling: Literal["first", "mean", "compare"] = "first"
    form: Form = "tagged"
    attributes: tuple[str, ...] | None = None
    longest: Annotated[int, Field(ge=8)] = 128
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    epochs: Annotated[int, Field(ge=1)] = 5
    batch_size: Annotated[int, Field(ge=1)] = 16
    learning_rate: Annotated[float, Field(gt=0)] = 5e-5
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.15
    inference: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = 1924
    pairs_at_once: Annotated[int, Field(ge=1)] = runtime(32)
    inference_batch: Annotated[int, Field(ge=1)] = runtime(64)

    @model_validator(mode="after")
    def _fields_fit_together(self) -> "Encoder":
        if self.objective == "pairwise" and self.none == "learned":
            raise ValueError("pairs that are judged alone have no logit of none to learn; set none=zero or listwise")
        return self

    def label(self) -> str:
        return self.model.rstrip("/").rsplit("/", 1)[-1]

    def fingerprints(self) -> list[str]:
        own = fingerprint(self.model)
        return [own] if own else []

    def ready(self, store: Store) -> None:
        source(self.model, self.revision)

    def classroom(self, lessons: list[Lesson], trainer: Trainer, threads: int) -> Classroom:
        from distiller.student.encoder_batches import Exercises, QueryBatches

        place = source(self.model, self.revision)
        encoder, tokenizer = load_encoder(place, self.revision)
        if self.longest > (most := longest_pair(encoder, tokenizer)):
            raise DistillerError(
                f"student.longest={self.longest}, but {self.model} reads {most} tokens at most; lower it"
            )
        network, text = self._network(encoder, tokenizer).train(), self._text(tokenizer)
        for lesson in lessons:
            text.check(lesson.task)
        learnt, kept = (Exercises.of(part, text) for part in split(lessons, self.held_out, self.seed))

        def training(epoch: int) -> QueryBatches:
            return learnt.batches(self.batch_size, np.random.default_rng([self.seed, epoch]))

        def save(folder: Path) -> dict[str, Any]:
            calibration, facts = self._calibrated(network, kept, trainer)
            self._write(folder, network, tokenizer, calibration)
            return {
                **facts,
                "tokens": int(learnt.pairs.offsets[-1]),
                "padding": training(0).padding(self.pairs_at_once),
            }

        return Classroom(
            model=network,
            batches=training,
            validation=lambda: kept.batches(self.batch_size, None),
            epochs=self.epochs,
            steps=self.epochs * len(training(0)),
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

        from distiller.student.encoder_network import pair_logits

        torch.set_num_threads(threads)
        settings, network, tokenizer = self._taught(checkpoint)
        rows, offsets = task.candidates.of(query_ids)
        pairs = self._text(tokenizer).pairs(task, query_ids[ragged.owner(offsets)], task.candidates.candidate_ids[rows])
        ready = self._for_inference(network, trainer)
        calibration = listwise.Calibration(settings["scale"], settings["shift"])
        logits = pair_logits(ready, pairs, offsets, self.inference_batch)
        return calibrated_answers(self.label(), task, query_ids, calibration(logits))

    def export(self, checkpoint: Checkpoint, path: Path) -> None:
        """Write the trained network as an ONNX file, see `encoder_onnx.export`; its metadata says how it is asked."""
        from distiller.student.encoder_onnx import export

        settings, network, _ = self._taught(checkpoint)
        told = {name: getattr(self, name) for name in ("objective", "none", "pooling", "form", "attributes", "longest")}
        export(network.eval(), path, {**told, "scale": settings["scale"], "shift": settings["shift"]})

    def _taught(self, checkpoint: Checkpoint) -> tuple[dict[str, Any], Any, Any]:
        """Settings, network in float32 and tokenizer of a trained student."""
        from safetensors.torch import load_file

        settings = json.loads((checkpoint.folder / SETTINGS).read_text(encoding="utf-8"))
        encoder, tokenizer = load_encoder(str(checkpoint.folder / ENCODER), None)
        network = self._network(encoder, tokenizer)
        network.head.load_state_dict(load_file(checkpoint.folder / HEAD))
        return settings, network, tokenizer

    def _text(self, tokenizer: Any) -> PairText:
        text = PairText(tokenizer, self.form, self.attributes, self.longest)
        if self.longest < (least := Template.of(tokenizer).added + 2):
            raise DistillerError(
                f"student.longest={self.longest} leaves no room for two records; set it to {least} or more"
            )
        return text

    def _network(self, encoder: Any, tokenizer: Any) -> Any:
        from distiller.student.encoder_network import PairEncoder

        return PairEncoder(
            encoder,
            tokenizer.pad_token_id,
            self.pooling,
            self.objective,
            self.none == "learned",
            self.dropout,
            self.pairs_at_once,
        )

    def _for_inference(self, network: Any, trainer: Trainer) -> Any:
        """A copy of the network in evaluation mode, on its device, its encoder in the precision for answering."""
        import torch

        device = "cuda" if trainer.accelerator != "cpu" and torch.cuda.is_available() else "cpu"
        half = self.inference == "bfloat16" or (self.inference == "auto" and computes_in_bfloat16(device))
        copied = copy.deepcopy(network).eval().to(device)
        copied.encoder.to(torch.bfloat16 if half else torch.float32)
        return copied

    def _calibrated(self, network: Any, kept: Any, trainer: Trainer) -> tuple[listwise.Calibration, dict[str, Any]]:
        from distiller.student.encoder_network import pair_logits

        ready = self._for_inference(network, trainer)
        logits = pair_logits(ready, kept.pairs, kept.offsets, self.inference_batch)
        calibration = listwise.Calibration.fit(logits, kept.target, kept.offsets)
        corrected = calibration(logits)
        return calibration, {
            "scale": calibration.scale,
            "shift": calibration.shift,
            "held_out": len(kept.offsets) - 1,
            "held_out_loss": float(listwise.cross_entropy(corrected, kept.target, kept.offsets).mean()),
            "held_out_agreement": listwise.agreement(corrected, kept.target, kept.offsets),
        }

    def _write(self, folder: Path, network: Any, tokenizer: Any, calibration: listwise.Calibration) -> None:
        from safetensors.torch import save

        with quiet():
            network.encoder.save_pretrained(folder / ENCODER)
            tokenizer.save_pretrained(folder / ENCODER)
        weights = {name: value.detach().float().cpu().contiguous() for name, value in network.head.state_dict().items()}
        (folder / HEAD).write_bytes(save(weights))
        write_settings(folder, {"model": self.model, "scale": calibration.scale, "shift": calibration.shift})


def computes_in_bfloat16(device: str) -> bool:
    """Whether multiplying in bfloat16 is faster than in float32: the processor has instructions for it."""
    import torch

    if device == "cuda":
        return torch.cuda.is_bf16_supported()
    known = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in known)
