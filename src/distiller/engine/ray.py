"""Ray Data's own batch inference: vLLM replicas on the GPUs of one machine or a cluster, fed by one stream of calls."""

import itertools
import json
import logging
import os
import re
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from distiller.config import DistillerError, component, runtime
from distiller.engine.base import Engine, LanguageModel, Reply, Request, Tokenizer
from distiller.engine.chat_tokenizer import ChatTokenizer
from distiller.engine.hub import PATIENCE, check_model
from distiller.engine.ray_rows import answer_of, call_of, call_source
from distiller.engine.vllm import engine_settings
from distiller.engine.vllm_calls import Inquiry, Outcome, adapter_files, adapter_rank, brief

#: Batches that a replica has at hand, so that it never waits for the next.
BATCHES_AHEAD = 4


@component
class Ray(Engine):
    """vLLM in a Ray Data pipeline: the replies of `engine=vllm`, from as many GPUs as there are.

    Replicas start with the first request and end with the last. Model and adapter must be reachable under the same name
    from all machines of a cluster, and `distiller-er[ray]` be installed there.

    dtype, quantization, adapter, max_model_len, tensor_parallel, gpu_memory, enforce_eager: as for `engine=vllm`; each
      replica takes `tensor_parallel` GPUs.
    replicas: copies of the model, each with its own share of the requests. batch_size: calls that travel together.
    address: of a running cluster ("auto" finds the one of this machine); null starts Ray here for the length of the run.
    """

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    quantization: str | None = None
    adapter: str | None = None
    max_model_len: Annotated[int, Field(ge=1)] | None = None
    tensor_parallel: Annotated[int, Field(ge=1)] = runtime(1)
    gpu_memory: Annotated[float, Field(gt=0, le=1)] = runtime(0.9)
    enforce_eager: bool = runtime(False)
    replicas: Annotated[int, Field(ge=1)] = runtime(1)
    batch_size: Annotated[int, Field(ge=1)] = runtime(32)
    address: str | None = runtime(None)

    def check(self, model: str, revision: str | None) -> None:
        if missing := [name for name in ("ray", "vllm") if find_spec(name) is None]:
            raise DistillerError(f"engine=ray needs {' and '.join(missing)}: pip install 'distiller-er[ray]'")
        check_model(model, revision)
        if self.adapter is not None:
            adapter_rank(self.adapter)
        if self.address is not None and not _reachable(self.address):
            raise DistillerError(f"no Ray cluster answers at {self.address}: start it or correct engine.address")

    def reads(self, folder: Path | None) -> list[Path]:
        return adapter_files(self.adapter)

    def tokenizer(self, model: str, revision: str | None) -> Tokenizer:
        self.check(model, revision)
        return ChatTokenizer.load(model, revision)

    @contextmanager
    def open(self, model: str, revision: str | None) -> Iterator[LanguageModel]:
        self.check(model, revision)
        for name, quiet in (
            ("VLLM_LOGGING_LEVEL", "ERROR"),
            ("VLLM_NO_USAGE_STATS", "1"),
            ("RAY_USAGE_STATS_ENABLED", "0"),
        ):
            os.environ.setdefault(name, quiet)  # read by the processes that Ray starts
        import ray

        chat = ChatTokenizer.load(model, revision)
        joined = ray.is_initialized()
        if not joined:
            try:
                ray.init(
                    address=self.address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR
                )
            except (ConnectionError, RuntimeError, ValueError, OSError) as error:
                raise DistillerError(
                    f"Ray cannot be had at {self.address or 'this machine'}: {brief(error)}"
                ) from error
        try:
            needed, found = self.replicas * self.tensor_parallel, gpus()
            if 0 < found < needed:
                raise DistillerError(
                    f"engine=ray needs {needed} GPUs for replicas={self.replicas} with tensor_parallel="
                    f"{self.tensor_parallel}, and Ray has {found:g}: lower one of the two"
                )
            yield RayReplicas(self, model, revision, chat)
        finally:
            if not joined:
                ray.shutdown()


class RayReplicas(LanguageModel):
    """Replicas of a model behind one stream of calls."""

    def __init__(self, engine: Ray, model: str, revision: str | None, chat: ChatTokenizer):
        self._engine = engine
        self._model = model
        self._revision = revision
        self._chat = chat

    def tokens(self, requests: Sequence[Request]) -> list[int]:
        return self._chat.tokens(requests)

    def text_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._chat.text_tokens(texts)

    def replies(self, requests: Iterable[tuple[int, Request]]) -> Iterator[tuple[int, Reply]]:
        """As in `LanguageModel`; the seconds of a reply are those since the one before it."""
        source = iter(requests)
        calls: dict[int, tuple[Inquiry, int]] = {}  # by number of the row: of which request, and which of its calls
        unsent: list[dict[str, Any]] = []
        size = self._engine.batch_size
        numbers = itertools.count()
        more, clock = True, time.perf_counter()
        with Pipeline(self._engine, self._model, self._revision) as pipeline:
            while True:
                while more and len(calls) < size * self._engine.replicas * BATCHES_AHEAD:
                    if (pair := next(source, None)) is None:
                        more = False
                        break
                    try:
                        inquiry = Inquiry.of(*pair, self._chat)
                    except (DistillerError, ValueError) as error:
                        yield pair[0], Reply(finish="error", error=brief(error))
                        continue
                    for i, (call, row) in enumerate(zip(inquiry.calls, numbers, strict=False)):
                        calls[row] = (inquiry, i)
                        sampling = {**call.sampling, "include_stop_str_in_output": True}
                        unsent.append({"row": row, "call": json.dumps([call.tokens, sampling])})
                # Only whole batches travel before the last: a partial one would wait until others fill it up.
                while len(unsent) >= size or (unsent and not more):
                    pipeline.send(unsent[:size])
                    del unsent[:size]
                if not calls:
                    return
                if not more:
                    pipeline.end()
                answer = pipeline.receive()
                inquiry, i = calls.pop(answer["row"])
                inquiry.outcomes[i] = self._outcome(answer, inquiry.request)
                if inquiry.complete:
                    seconds, clock = time.perf_counter() - clock, time.perf_counter()
                    yield inquiry.number, inquiry.reply(seconds)

    def _outcome(self, row: dict[str, Any], request: Request) -> Outcome:
        """What a row says; Ray leaves out why a text ended, but its last token, or the stop text kept in it, tells."""
        if row["error"] is not None:
            return Outcome("", 0, row["error"], {})
        text = row["text"]
        stop = next((stop for stop in request.stop if text.endswith(stop)), "")
        ended = bool(stop) or row["last"] in self._chat.ends
        scores = {int(token): logprob for token, logprob in json.loads(row["scores"]).items()}
        return Outcome(text.removesuffix(stop), row["written"], "stop" if ended else "length", scores)


class Pipeline:
    """A Ray Data pipeline whose source waits for batches of calls; it starts with the first batch."""

    def __init__(self, engine: Ray, model: str, revision: str | None):
        self._engine = engine
        self._model = model
        self._revision = revision
        self._batches: Any = None
        self._rows: Any = None

    def __enter__(self) -> "Pipeline":
        return self

    def __exit__(self, *fault: object) -> None:
        if self._batches is not None:
            self._rows.close()
            self._batches.shutdown(force=True)

    def send(self, batch: list[dict[str, Any]]) -> None:
        """Put rows (`row`: number, `call`: JSON of tokens and sampling parameters) on their way."""
        if self._batches is None:
            from ray.util.queue import Queue

            self._batches = Queue(actor_options={"num_cpus": 0})
            self._rows = self._answered()
        self._batches.put(batch)

    def end(self) -> None:
        """No further batch will be sent."""
        self._batches.put(None)

    def receive(self) -> dict[str, Any]:
        """Wait for the next row to come back, in any order: `row`, `text`, `last` token, tokens `written`, `scores`, `error`.

        Raises:
            DistillerError: the replicas failed.
        """
        from ray.data.exceptions import SystemException, UserCodeException
        from ray.exceptions import RayError

        try:
            return next(self._rows)
        except (RayError, SystemException, UserCodeException, StopIteration) as error:
            raise DistillerError(f"Ray's replicas of {self._model} failed: {_cause(error)}") from error

    def _answered(self) -> Iterator[dict[str, Any]]:
        import ray.data
        from ray.data.llm import build_processor, vLLMEngineProcessorConfig

        logging.getLogger("ray.data").setLevel(logging.ERROR)
        settings = {**engine_settings(self._engine, self._revision), "enforce_eager": self._engine.enforce_eager}
        config = vLLMEngineProcessorConfig(
            model_source=self._model,
            engine_kwargs=settings,
            concurrency=(self._engine.replicas, self._engine.replicas),
            batch_size=self._engine.batch_size,
            # Without a GPU in sight vLLM runs on processors, where Ray would wait for a GPU.
            placement_group_config=None if gpus() else {"bundle_per_worker": {"CPU": 1}},
            chat_template_stage=False,
            tokenize_stage=False,
            detokenize_stage=False,
            log_engine_metrics=False,
            should_continue_on_error=True,
        )
        adapter = self._engine.adapter
        processor = build_processor(
            config,
            preprocess=lambda row: call_of(row, adapter),
            postprocess=answer_of,
            preprocess_map_kwargs={"num_cpus": 0},
            postprocess_map_kwargs={"num_cpus": 0},
        )
        source = ray.data.read_datasource(call_source(self._batches), override_num_blocks=1, num_cpus=0)
        source.context.target_max_block_size = 1  # else rows gather until they are 128 MB, while we wait for them
        source.context.enable_progress_bars = False
        source.context.enable_fallback_to_arrow_object_ext_type = True  # see Whole
        for row in processor(source).iter_rows():
            yield {**row, "error": row.get("__inference_error__") or None}


def _cause(error: BaseException) -> str:
    """What the last exception in a chain of tracebacks says, which is the fault itself."""
    text = re.sub(r"\x1b\[\d*m", "", str(getattr(error, "cause", None) or error))
    named = list(re.finditer(r"^\s*[\w.]*(?:Error|Exception)\b.*", text, re.MULTILINE))
    said = " ".join((text[named[-1].start() :] if named else text).split())
    return said[:300] or type(error).__name__


def _reachable(address: str) -> bool:
    """Whether something listens at host:port; anything else is left to Ray."""
    parts = urlsplit(address if "://" in address else f"ray://{address}")
    try:
        if not parts.hostname or not parts.port:
            return True
        with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE):
            return True
    except (OSError, ValueError):
        return False


def gpus() -> float:
    """GPUs of the Ray cluster."""
    import ray

    return ray.cluster_resources().get("GPU", 0)
