"""Local weights in vLLM, offline: continuous batching, shared prefixes computed once, replies held to a grammar."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Annotated, Any, Literal

import psutil  # type: ignore[import-untyped]
from pydantic import Field

from distiller.config import DistillerError, component, runtime
from distiller.engine.base import Engine, LanguageModel, Reply, Request, Tokenizer
from distiller.engine.chat_tokenizer import ChatTokenizer
from distiller.engine.hub import check_model
from distiller.engine.vllm_calls import Call, Inquiry, Outcome, adapter_files, adapter_rank, brief


@component
class VLLM(Engine):
    """vLLM in processes of this run. Scores are exact: log-probabilities of given tokens, before any sampling.

    dtype: of weights and activations; `auto` is what the checkpoint says. quantization: a method vLLM knows (`awq`, `fp8`,
      `bitsandbytes`, ...), null for what the checkpoint says.
    adapter: folder of a LoRA adapter that is put on the model. max_model_len: longest prompt and reply together, in tokens;
      null for what the model allows.
    tensor_parallel: GPUs that share each layer. gpu_memory: share of each GPU's memory that vLLM may take.
    enforce_eager: start sooner and run slower, without compiled graphs. window: requests under way at once; vLLM forms
      batches of them by itself.
    """

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    quantization: str | None = None
    adapter: str | None = None
    max_model_len: Annotated[int, Field(ge=1)] | None = None
    tensor_parallel: Annotated[int, Field(ge=1)] = runtime(1)
    gpu_memory: Annotated[float, Field(gt=0, le=1)] = runtime(0.9)
    enforce_eager: bool = runtime(False)
    window: Annotated[int, Field(ge=1)] = runtime(512)

    def check(self, model: str, revision: str | None) -> None:
        if find_spec("vllm") is None:
            raise DistillerError("engine=vllm needs vLLM: pip install 'distiller-er[vllm]'")
        check_model(model, revision)
        if self.adapter is not None:
            adapter_rank(self.adapter)

    def reads(self, folder: Path | None) -> list[Path]:
        return adapter_files(self.adapter)

    def tokenizer(self, model: str, revision: str | None) -> Tokenizer:
        self.check(model, revision)
        return ChatTokenizer.load(model, revision)

    @contextmanager
    def open(self, model: str, revision: str | None) -> Iterator[LanguageModel]:
        self.check(model, revision)
        # Both are read when vLLM is imported; without them it prints hundreds of lines and reports usage to its makers.
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        from vllm import LLM
        from vllm.lora.request import LoRARequest

        chat = ChatTokenizer.load(model, revision)
        before = set(psutil.Process().children())
        try:
            llm = LLM(model, **engine_settings(self, revision), enforce_eager=self.enforce_eager)
        except (RuntimeError, ValueError, OSError) as error:
            raise DistillerError(f"vLLM could not start model {model}: {brief(error)}") from error
        try:
            adapter = LoRARequest("adapter", 1, self.adapter) if self.adapter else None
            with WatchedSteps(llm.llm_engine.step, set(psutil.Process().children()) - before) as steps:
                yield LoadedVLLM(llm, steps, chat, adapter, self.window)
        finally:
            llm.llm_engine.engine_core.shutdown()


class WatchedSteps:
    """vLLM's steps, each taken in a thread of its own: once vLLM's process was killed, a step never returns."""

    def __init__(self, step: Callable[[], Any], processes: Iterable[psutil.Process]):
        self._processes = list(processes)
        self._wanted: SimpleQueue[bool] = SimpleQueue()
        self._taken: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=self._take, args=(step,), daemon=True).start()

    def __enter__(self) -> "WatchedSteps":
        return self

    def __exit__(self, *fault: object) -> None:
        self._wanted.put(False)

    def __call__(self) -> Any:
        """What the next step gives.

        Raises:
            DistillerError: a process of vLLM was killed.
        """
        self._wanted.put(True)
        while True:
            try:
                taken = self._taken.get(timeout=1.0)
                break
            except Empty:
                if not all(map(_lives, self._processes)):
                    raise DistillerError(
                        "a process of vLLM was killed, perhaps for want of memory: lower engine.window, "
                        "engine.max_model_len or engine.gpu_memory"
                    ) from None
        if isinstance(taken, BaseException):
            raise taken
        return taken

    def _take(self, step: Callable[[], Any]) -> None:
        while self._wanted.get():
            try:
                self._taken.put(step())
            except BaseException as error:
                self._taken.put(error)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class LoadedVLLM(LanguageModel):
    """A model in vLLM. Requests are added as soon as others have been answered, so that its batches stay full."""

    def __init__(self, llm: Any, steps: WatchedSteps, chat: ChatTokenizer, adapter: Any, window: int):
        self._llm = llm
        self._steps = steps
        self._chat = chat
        self._adapter = adapter
        self._window = window

    def tokens(self, requests: Sequence[Request]) -> list[int]:
        return self._chat.tokens(requests)

    def text_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._chat.text_tokens(texts)

    def replies(self, requests: Iterable[tuple[int, Request]]) -> Iterator[tuple[int, Reply]]:
        from vllm.exceptions import VLLMClientError
        from vllm.v1.engine.exceptions import EngineDeadError

        source = iter(requests)
        calls: dict[str, tuple[Inquiry, int]] = {}  # by the name vLLM gave: of which request, and which of its calls
        under_way = 0
        seconds = 0.0  # of work that no reply has taken its share of yet
        try:
            while True:
                for number, request in islice(source, self._window - under_way):
                    begin = time.perf_counter()
                    fault = None
                    try:
                        inquiry = Inquiry.of(number, request, self._chat)
                        calls |= {name: (inquiry, i) for i, name in enumerate(self._add(inquiry.calls))}
                        under_way += 1
                    except (DistillerError, ValueError, VLLMClientError) as error:
                        fault = Reply(finish="error", error=brief(error))
                    seconds += time.perf_counter() - begin
                    if fault is not None:
                        yield number, fault
                if not under_way:
                    return
                begin = time.perf_counter()
                complete = list(self._step(calls))
                seconds += time.perf_counter() - begin
                under_way -= len(complete)
                work = sum(inquiry.work for inquiry in complete)
                for inquiry in complete:
                    yield inquiry.number, inquiry.reply(seconds * inquiry.work / work)
                if complete:
                    seconds = 0.0
        except EngineDeadError as error:
            raise DistillerError(f"vLLM died: {brief(error)}; VLLM_LOGGING_LEVEL=INFO shows why") from error
        finally:
            self._llm.llm_engine.abort_request(list(calls))

    def _add(self, calls: Sequence[Call]) -> list[str]:
        """Queue calls; returns the name that each outcome will carry."""
        prompts = [{"prompt_token_ids": list(call.tokens)} for call in calls]
        sampling = [_sampling(call) for call in calls]
        added = self._llm.enqueue(prompts, sampling, lora_request=self._adapter, use_tqdm=False)
        return [name.partition("-")[0] for name in added]  # vLLM adds random letters that its outputs do not carry

    def _step(self, calls: dict[str, tuple[Inquiry, int]]) -> Iterator[Inquiry]:
        """Let vLLM work until something is ready; gives the requests that are complete now."""
        for output in self._steps():
            if not output.finished or output.request_id not in calls:
                continue
            inquiry, i = calls.pop(output.request_id)
            written = output.outputs[0]
            scores = {token: entry.logprob for token, entry in written.logprobs[0].items()} if written.logprobs else {}
            finish = written.finish_reason
            if finish not in ("stop", "length"):
                finish = f"vLLM ended the reply with {finish!r}"
            inquiry.outcomes[i] = Outcome(written.text, len(written.token_ids), finish, scores)
            if inquiry.complete:
                yield inquiry


def _sampling(call: Call) -> Any:
    from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

    sampling = dict(call.sampling)
    if grammar := sampling.pop("structured_outputs", None):
        sampling["structured_outputs"] = StructuredOutputsParams(**grammar)
    return SamplingParams(**sampling, output_kind=RequestOutputKind.FINAL_ONLY)


def engine_settings(engine: Any, revision: str | None) -> dict[str, Any]:
    """Arguments of vLLM's engine for the fields that the `vllm` and `ray` engines have in common."""
    settings = {
        "revision": revision,
        "tokenizer_revision": revision,
        "dtype": engine.dtype,
        "quantization": engine.quantization,
        "max_model_len": engine.max_model_len,
        "tensor_parallel_size": engine.tensor_parallel,
        "gpu_memory_utilization": engine.gpu_memory,
        "enable_prefix_caching": True,
        "use_tqdm_on_load": False,
    }
    if engine.adapter is not None:
        settings |= {"enable_lora": True, "max_lora_rank": adapter_rank(engine.adapter)}
    return {name: value for name, value in settings.items() if value is not None}
