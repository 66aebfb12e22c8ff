"""Forecast against spent: what a teacher was expected to cost, and what it cost then.

    DISTILLER_DATA=<folder> python benchmarks/forecast.py [DATASET ...]

A server on loopback replays the recorded answers of Qwen-2.5-32B to the training queries of some datasets (three, if
none is named) as replies to our own prompts (`elicitation=explain`), and counts tokens with a byte-pair tokenizer
trained here on the tables, which the client does not know. Each dataset is asked twice: by a client that never asked
this model before, whose forecast rests on wide guesses, and by one that has asked it about another dataset, whose
forecast rests on those replies. The price is made up: 0.15 per million tokens read, 0.60 per million written.
"""

import json
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from recorded_students import data_folder, recorded_task

from distiller import recordings
from distiller.budget import Prices
from distiller.elicitation.explain import Explain
from distiller.engine.openai import OpenAI
from distiller.store import Store
from distiller.task import Task
from distiller.teacher.llm import LLM

NAMES = ("abt-buy", "amazon-google", "imdb-tmdb")
PRICES = Prices(input=0.15, output=0.60, currency="USD")
LATENCY = 0.02


def tokenizer_of(root: Path, names: Sequence[str]) -> Any:
    """A byte-pair tokenizer of 16,000 pieces, trained on the datasets' tables."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    texts = []
    for name in names:
        for side in ("left", "right"):
            with recordings.open_text(root / name / f"{side}.csv.gz") as file:
                texts += file.read().splitlines()
    made.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=16_000, show_progress=False))
    return made


def serve(answers: dict[str, str], tokenizer: Any) -> ThreadingHTTPServer:
    """A chat server that knows these answers by prompt."""

    class Connection(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words: object) -> None:
            """Nothing."""

        def send(self, body: dict[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            self.send({"data": [{"id": "replayed", "object": "model"}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            time.sleep(LATENCY)
            text = answers[body["messages"][-1]["content"]]
            read = sum(len(tokenizer.encode(m["content"]).ids) + 5 for m in body["messages"])
            written = len(tokenizer.encode(text).ids) + 1
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
            self.send(
                {"id": "x", "object": "chat.completion", "model": "replayed", "choices": [choice], "usage": usage}
            )

    server = ThreadingHTTPServer(("127.0.0.1", 0), Connection)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def measure(root: Path, names: Sequence[str], scratch: Path) -> list[dict[str, Any]]:
    """One row per dataset and client: forecast and spent of every quantity."""
    answers: dict[str, str] = {}
    asked = {}
    teacher = LLM(model="replayed", engine=OpenAI(), elicitation=Explain(order="reference"), prices=PRICES)
    for name in names:
        task, _, train = recorded_task(root, name)
        path = root / name / "annotations" / "qwen2.5-32b.jsonl.gz"
        with recordings.open_text(path) as lines:
            recorded = recordings.annotations(path, lines)
        for request, reply in recordings.replies(recorded, teacher.requests(task, train)):
            assert reply.text is not None
            answers[request.messages[-1][1]] = reply.text
        asked[name] = (task, train)
    server = serve(answers, tokenizer_of(root, names))
    teacher = replace(teacher, engine=OpenAI(url=f"http://127.0.0.1:{server.server_port}/v1"))
    rows = []
    try:
        for i, name in enumerate(names):
            task, train = asked[name]
            for client in ("new", "knows another"):
                own = Store(root=scratch / f"{name}-{client}")
                if client == "knows another":
                    other, queries = asked[names[i - 1]]
                    teacher.annotate(_in(own, other), queries)
                expected = teacher.forecast(_in(own, task), train)
                assert expected is not None
                start = time.perf_counter()
                facts = teacher.annotate(_in(own, task), train).facts
                spent = {**facts, "seconds": time.perf_counter() - start}
                rows.append({"dataset": name, "client": client, "forecast": expected, "spent": spent})
    finally:
        server.shutdown()
        server.server_close()
    return rows


def _in(store: Store, task: Task) -> Task:
    return replace(task, store=store)


def main() -> None:
    """Print one line per dataset, client and quantity, and how many intervals held the truth."""
    with tempfile.TemporaryDirectory() as scratch:
        rows = measure(data_folder(), sys.argv[1:] or NAMES, Path(scratch))
    print(f"{'dataset':15}{'client':15}{'quantity':12}{'low':>12}{'expected':>12}{'high':>12}{'spent':>12}  held")
    held = total = 0
    for row in rows:
        for name in ("tokens_in", "tokens_out", "cost", "seconds"):
            low, middle, high = getattr(row["forecast"], name)
            spent = row["spent"][name]
            inside = low <= spent <= high
            held, total = held + inside, total + 1
            shown = "".join(
                f"{value:>12,.4f}" if high < 10 else f"{value:>12,.1f}" for value in (low, middle, high, spent)
            )
            print(f"{row['dataset']:15}{row['client']:15}{name:12}{shown}  {'yes' if inside else 'NO'}")
    print(f"{held} of {total} intervals held what was spent")


if __name__ == "__main__":
    main()
