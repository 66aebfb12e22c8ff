"""Run a language model of the transformers library in this process, on a CPU or one GPU."""

import gc
import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from distiller.config import DistillerError, component, runtime
from distiller.engine.base import Engine, LanguageModel
from distiller.engine.chat_tokenizer import ChatTokenizer
from distiller.engine.hub import check_model
from distiller.engine.local_model import LocalModel, out_of_memory

INSTALL = "pip install 'distiller-er[local]'"


@component
class Transformers(Engine):
    """Local weights (safetensors only, no code of others), batched with padding on the left and sorted by length.

    Options are scored with every token read once (`option_scoring`). Generated replies are held to options, or to a JSON Schema.
    A reply does not depend on what else is in its batch, but for the rounding of floating-point numbers.

    dtype: of weights and computation; `auto` is what the checkpoint was saved in. attention: `sdpa` is torch's fused
    attention, `eager` the plain formula. batch_tokens: tokens in a batch, padding included. window: requests that are
    taken at once and sorted by length. adapter: folder or hub id of a LoRA adapter, merged into the weights.
    """

    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    adapter: str | None = None
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = runtime("auto")
    attention: Literal["sdpa", "eager"] = runtime("sdpa")
    batch_tokens: Annotated[int, Field(ge=1)] = runtime(8192)
    window: Annotated[int, Field(ge=1)] = runtime(256)

    def reads(self, folder: Path | None) -> list[Path]:
        """The files of a local adapter."""
        local = Path(self.adapter) if self.adapter else None
        return sorted(p for p in local.iterdir() if p.is_file()) if local and local.is_dir() else []

    def check(self, model: str, revision: str | None) -> None:
        if self.adapter is not None and importlib.util.find_spec("peft") is None:
            raise DistillerError(f"engine.adapter={self.adapter} needs the library peft: {INSTALL}")
        check_model(model, revision)
        if self.adapter and Path(self.adapter).is_dir() and not (Path(self.adapter) / "adapter_config.json").is_file():
            raise DistillerError(
                f"engine.adapter={self.adapter} is a folder without adapter_config.json: give a LoRA adapter"
            )
        if self.device.startswith("cuda"):
            self._device()

    def tokenizer(self, model: str, revision: str | None) -> ChatTokenizer:
        self.check(model, revision)
        return ChatTokenizer.load(model, revision)

    @contextmanager
    def open(self, model: str, revision: str | None) -> Iterator[LanguageModel]:
        tokenizer = self.tokenizer(model, revision)
        loaded = LocalModel(self._network(model, revision), tokenizer, model, self.batch_tokens, self.window)
        try:
            yield loaded
        finally:
            del loaded.network
            gc.collect()
            if self._device().startswith("cuda"):
                import torch

                torch.cuda.empty_cache()

    def _device(self) -> str:
        import torch

        if self.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        if self.device.startswith("cuda") and not torch.cuda.is_available():
            raise DistillerError(
                f"engine.device={self.device}, but torch sees no CUDA device here: set engine.device=cpu"
            )
        return self.device

    def _network(self, model: str, revision: str | None) -> Any:
        """The model with its adapter, on its device, ready to answer."""
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging

        shown = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()
        try:
            network = AutoModelForCausalLM.from_pretrained(
                model,
                revision=revision,
                dtype=self.dtype,
                attn_implementation=self.attention,
                trust_remote_code=False,
                use_safetensors=True,
            )
            return self._adapted(network).to(self._device()).eval()
        except (OSError, ValueError, ImportError, RuntimeError, MemoryError, SafetensorError) as error:
            if out_of_memory(error):
                raise DistillerError(
                    f"{model} does not fit into the memory of {self._device()}: choose a smaller model, or engine.dtype=bfloat16"
                ) from error
            raise DistillerError(f"{model} cannot be loaded: {' '.join(str(error).split())}") from error
        finally:
            if shown:
                logging.enable_progress_bar()

    def _adapted(self, network: Any) -> Any:
        if self.adapter is None:
            return network
        from peft import PeftModel

        with warnings.catch_warnings():  # peft still uses names that the transformers library is about to drop
            warnings.filterwarnings("ignore", message=".*gradient_checkpointing", category=FutureWarning)
            return PeftModel.from_pretrained(network, self.adapter).merge_and_unload()
