"""The torch side of a language model student: weights with their adapter, the reference, and what is written to disk."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distiller.config import DistillerError
from distiller.engine.chat_tokenizer import ChatTokenizer
from distiller.engine.local_model import out_of_memory
from distiller.engine.option_scoring import OptionBatch, step_log_probabilities
from distiller.student.reply_parts import Replies

#: Names of the adapter that learns, and of the one that keeps the start where this had an adapter already.
LEARNS, REFERENCE = "default", "reference"


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter: see the fields of `student.language.Language`."""

    rank: int
    alpha: float
    dropout: float = 0.0
    targets: str | tuple[str, ...] = "all-linear"


class OptionModel(nn.Module):
    """A causal language model as a distribution over the options of its prompts.

    network: the transformers model, or peft's around it. reference_network: a frozen copy where all weights are trained and
    a reference is wanted. tokenizer: as `ChatTokenizer`. dtype: of the computation where the weights are in float32.
    """

    def __init__(self, network: Any, reference_network: Any, tokenizer: ChatTokenizer, dtype: torch.dtype):
        super().__init__()
        self.network = network
        self._kept = [reference_network]  # in a list, so that its weights are not among those of this module
        self.tokenizer = tokenizer
        self._dtype = dtype
        self._using_reference = False

    @classmethod
    def load(
        cls,
        model: str,
        revision: str | None,
        *,
        dtype: str,
        quantized: bool = False,
        adapter: Adapter | None = None,
        start: Path | None = None,
        frozen: bool = False,
        recompute: bool = False,
    ) -> "OptionModel":
        """The model with a fresh adapter, or as it is in the checkpoint `start`; without an adapter all weights learn.

        frozen: keep the weights of the start, so that `reference` gives them. recompute: keep only what enters each layer for
        the backward pass.

        Raises:
            DistillerError: it cannot be loaded, or does not fit into memory.
        """
        computing = getattr(torch, dtype)
        tokenizer = ChatTokenizer.load(model, revision)
        copy = None
        if adapter is None:
            source = (model, revision) if start is None else (str(start), None)
            base = _loaded(*source, torch.float32, quantized).requires_grad_(True)
            if frozen:
                copy = _loaded(*source, torch.float32, quantized).requires_grad_(False).eval()
            network = base
        else:
            base = _loaded(model, revision, computing, quantized).requires_grad_(False)
            network = _adapted(base, adapter, start, frozen, model, revision)
        if recompute and base.supports_gradient_checkpointing:
            _recompute(base)
        made = cls(network, copy, tokenizer, computing)
        base.train()  # loaded to answer; recomputation and the model's own dropout are for training only
        return made

    @property
    def causal(self) -> Any:
        """The model of the transformers library that is asked now, its adapter inside."""
        if self._using_reference and self._kept[0] is not None:
            return self._kept[0]
        return self.network.get_base_model() if self._adapters else self.network

    @property
    def _adapters(self) -> dict[str, Any]:
        return getattr(self.network, "peft_config", {})

    @property
    def longest(self) -> int | None:
        """Tokens that the model can read at once, where it says so."""
        return getattr(self.causal.config.get_text_config(), "max_position_embeddings", None)

    @property
    def padding(self) -> int:
        """A token for places that are never attended to."""
        return min(self.tokenizer.ends, default=0)

    @property
    def trained_weights(self) -> int:
        """Number of weights that are trained."""
        return sum(weight.numel() for weight in self.parameters() if weight.requires_grad)

    def log_probabilities(self, batch: dict[str, Tensor]) -> Tensor:
        """See `Classroom`: of each option, [batch, options]; they sum to less than 1.

        An answer that is the whole reply includes the end of its turn, one before a rationale ends with its own last token.
        """
        return self.replies(batch).answers

    def replies(self, batch: dict[str, Tensor]) -> Replies:
        """Log-probabilities of the options' replies, in the two parts that a reply can have; see `tensors` for the batch."""
        log_p, there = self.step_log_probabilities(batch), batch["step_node"] >= 0
        later = torch.arange(log_p.shape[-1], device=log_p.device) >= batch["answer_steps"][..., None]
        answers = log_p.masked_fill(later, 0.0).sum(dim=-1).masked_fill(~there.any(dim=-1), -torch.inf)
        rationales = log_p.masked_fill(~later, 0.0).sum(dim=-1)
        return Replies(answers, rationales, (there & later).sum(dim=-1))

    def step_log_probabilities(self, batch: dict[str, Tensor]) -> Tensor:
        """Log-probability of each token of each option, float32 [batch, options, steps]; 0 where there is none."""
        fields = OptionBatch(**{name: batch[name] for name in OptionBatch.__dataclass_fields__})
        with self.computing():
            return step_log_probabilities(self.causal, fields)

    def computing(self) -> Any:
        """Computes in the student's dtype where the weights have another."""
        causal = self.causal
        if causal.dtype == self._dtype:
            return nullcontext()
        return torch.autocast(causal.device.type, self._dtype)

    @contextmanager
    def still(self) -> Iterator[None]:
        """Within, there is no dropout, and what was read can be kept for the next token."""
        training = self.training
        self.eval()
        try:
            yield
        finally:
            self.train(training)

    @contextmanager
    def reference(self) -> Iterator[None]:
        """Within, the weights are those of the start, without dropout; nothing learns.

        Raises:
            DistillerError: they were not kept.
        """
        if not self._adapters and self._kept[0] is None:
            raise DistillerError("a student that trains all weights has no reference unless a frozen copy was kept")
        if self._kept[0] is not None:
            self._kept[0].to(self.network.device)
        self._using_reference = True
        without = nullcontext()
        if REFERENCE in self._adapters:
            self._use(REFERENCE)
        elif self._adapters:
            without = self.network.disable_adapter()
        try:
            with without, torch.no_grad(), self.still():
                yield
        finally:
            self._using_reference = False
            if REFERENCE in self._adapters:
                self._use(LEARNS)

    def _use(self, adapter: str) -> None:
        self.network.set_adapter(adapter)
        for name, weight in self.network.named_parameters():
            if f".{REFERENCE}." in name:
                weight.requires_grad_(False)

    def check_reference(self, batch: dict[str, Tensor]) -> None:
        """Make sure that the reference does not learn with the student.

        Raises:
            DistillerError: what the reference says moves with the weights that are trained, or nothing moves with these.
        """
        draw = torch.Generator(device="cpu").manual_seed(0)
        weights = [weight for weight in self.parameters() if weight.requires_grad]
        kept = [weight.detach().clone() for weight in weights]
        said = []
        with torch.no_grad():
            for step in range(2):
                with self.reference():
                    frozen = self.log_probabilities(batch)
                said.append((frozen, self.log_probabilities(batch)))
                for weight in weights if not step else ():
                    noise = torch.randn(weight.shape, generator=draw).to(weight)
                    weight.add_(0.05 * noise)
            for weight, value in zip(weights, kept, strict=True):
                weight.copy_(value)
        there = torch.isfinite(said[0][0])
        stays = torch.equal(said[0][0][there], said[1][0][there])
        moves = not torch.equal(said[0][1][there], said[1][1][there])
        if not stays or not moves:
            raise DistillerError(
                "the reference model changes with the weights that are trained, so that nothing would hold the student to it"
                if not stays
                else "the adapter has no effect on what the student says: check student.targets"
            )

    def save(self, folder: Path) -> None:
        """Write the adapter, as peft and vLLM load it, or the whole model, with the tokenizer beside it; safetensors only."""
        if self._adapters:
            self.network.save_pretrained(folder, selected_adapters=[LEARNS], safe_serialization=True)
            (folder / "README.md").unlink(missing_ok=True)  # a form for a model card, with nothing filled in
        else:
            state = {name: value.to(self._dtype) for name, value in self.network.state_dict().items()}
            self.network.save_pretrained(folder, state_dict=state, safe_serialization=True)
        self.tokenizer.tokenizer.save_pretrained(folder)


def _recompute(base: Any) -> None:
    """Keep only what enters each layer for the backward pass, which computes the rest once more."""
    if hasattr(base, "activation_checkpointing_enable"):  # its name in newer versions of the library
        base.activation_checkpointing_enable({"use_reentrant": False})
    else:
        base.gradient_checkpointing_enable({"use_reentrant": False})


def _loaded(model: str, revision: str | None, dtype: torch.dtype, quantized: bool) -> Any:
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig
    from transformers.utils import logging

    extra: dict[str, Any] = {}
    if quantized:
        extra["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        return AutoModelForCausalLM.from_pretrained(
            model,
            revision=revision,
            dtype=dtype,
            attn_implementation="sdpa",
            trust_remote_code=False,
            use_safetensors=True,
            **extra,
        )
    except (OSError, ValueError, ImportError, RuntimeError, MemoryError, SafetensorError) as error:
        if out_of_memory(error):
            raise DistillerError(
                f"{model} does not fit into memory: choose a smaller student.model, student.dtype=bfloat16 or "
                "student.quantize=4bit"
            ) from error
        raise DistillerError(f"{model} cannot be loaded: {' '.join(str(error).split())}") from error
    finally:
        if shown:
            logging.enable_progress_bar()


@contextmanager
def _without_old_names() -> Iterator[None]:
    """Keep quiet about names that peft still uses and the transformers library is about to drop."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*gradient_checkpointing", category=FutureWarning)
        yield


def _adapted(base: Any, adapter: Adapter, start: Path | None, frozen: bool, model: str, revision: str | None) -> Any:
    """The base with the adapter that learns, float32; where it has learnt before, with a frozen copy if one is wanted."""
    from peft import LoraConfig, PeftModel, TaskType, get_peft_model

    if start is None:
        targets = adapter.targets if isinstance(adapter.targets, str) else list(adapter.targets)
        config = LoraConfig(
            r=adapter.rank,
            lora_alpha=adapter.alpha,  # type: ignore[arg-type]
            lora_dropout=adapter.dropout,
            target_modules=targets,
            task_type=TaskType.CAUSAL_LM,
            base_model_name_or_path=model,
            revision=revision,
        )
        try:
            with _without_old_names():
                return get_peft_model(base, config)
        except ValueError as error:
            raise DistillerError(
                f"student.targets={adapter.targets} does not name layers of {model}: {' '.join(str(error).split())}"
            ) from error
    with _without_old_names():
        network = PeftModel.from_pretrained(base, start, adapter_name=LEARNS, is_trainable=True)
    if frozen:
        network.load_adapter(start, REFERENCE, is_trainable=False)
        network.set_adapter(LEARNS)
    return network
