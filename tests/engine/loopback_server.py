"""A server on 127.0.0.1 that speaks chat completions and misbehaves by a seeded plan.

In a test: `with Loopback(Plan(...)) as server: ... server.url ... server.log()`. In a process of its own, and with a log
from which it goes on counting after a restart:

    python tests/engine/loopback_server.py --port-file F [--faults PLAN] [--log FILE] [--key KEY]

PLAN is the JSON of a `Plan`, or a file with it. The port is in F once the server listens.
"""

import argparse
import contextlib
import json
import os
import random
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from loopback_answers import Body, answer, digest, distribution, emitted, pieces

#: Faults that a later attempt may get over, and oddities that still are replies.
FAULTS = (
    *("limit", "limit_with_pause", "error_500", "error_503", "hang", "cut_before", "cut_inside"),
    *("garbage", "truncated_json", "no_choices"),
)
ODDITIES = ("wrong_option", "duplicate_choices")


@dataclass(frozen=True)
class Plan:
    """When the server misbehaves, the same for the same seed and request whatever the order of requests.

    faulty: share of distinct requests that meet one to `most` faults, drawn from `kinds` (name: weight), before they are
    answered. odd: share whose answer is one of ODDITIES. refused: share of prompts that are always answered 400.
    always: the one fault that every request meets. latency, hang: seconds. retry_after: value of the header.
    """

    seed: int = 0
    faulty: float = 0.0
    most: int = 3
    kinds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(FAULTS, 1.0))
    odd: float = 0.0
    refused: float = 0.0
    always: str | None = None
    latency: float = 0.0
    hang: float = 30.0
    retry_after: str = "0.3"

    def refuses(self, messages: list[Any]) -> bool:
        """Whether these messages are never answered."""
        return random.Random(f"refuse/{self.seed}/{digest(messages)}").random() < self.refused

    def fault(self, body: Body, number: int) -> str:
        """The fault or oddity that the request meets when it comes for the `number`-th time, from 1; or nothing."""
        if self.always:
            return self.always
        if self.refuses(body["messages"]):
            return "refuse"
        draw = random.Random(f"{self.seed}/{digest(body)}")
        meets = draw.randint(1, self.most) if draw.random() < self.faulty else 0
        faults = draw.choices(list(self.kinds), list(self.kinds.values()), k=self.most)
        odd = draw.choice(ODDITIES) if draw.random() < self.odd else ""
        return faults[number - 1] if number <= meets else odd


class Loopback:
    """The server; listens from its making until `stop` or the end of a `with`.

    models: names that /v1/models lists; None for a server without that page. key: the only API key it accepts, or None.
    answers, texts, cut: the rules `answer`, `distribution` and `pieces`. logprobs: whether it returns any. refuses: body of
    a 400 that a request is answered with, or None. port: 0 for any that is free.
    """

    def __init__(
        self,
        plan: Plan | None = None,
        log: Path | None = None,
        key: str | None = None,
        models: tuple[str, ...] | None = ("loopback",),
        answers: Callable[[Body], str] = answer,
        texts: Callable[[Body], dict[str, float]] = distribution,
        cut: Callable[[str], list[str]] = pieces,
        logprobs: bool = True,
        refuses: Callable[[Body], Body | None] = lambda body: None,
        port: int = 0,
    ):
        self.plan, self.key, self.models, self.logprobs = plan or Plan(), key, models, logprobs
        self.answers, self.texts, self.cut, self.refuses = answers, texts, cut, refuses
        self.lock, self.stopping, self.entries = threading.Lock(), threading.Event(), list[Body]()
        self.connections, self.at_once, self.most_at_once = set[socket.socket](), 0, 0
        self._file = os.open(log, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644) if log else None
        if log:
            self.entries = [json.loads(line) for line in log.read_text().splitlines()]
        self.counts = Counter(entry["body"] for entry in self.entries)
        self._http = _Http(("127.0.0.1", port), _Connection)
        self._http.loopback = self
        self.port: int = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self) -> "Loopback":
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Close the port and cut all connections."""
        if self.stopping.is_set():
            return
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()
        with self.lock:
            for connection in self.connections:
                _cut(connection)
        if self._file is not None:
            os.close(self._file)

    def log(self) -> list[Body]:
        """One entry per request seen: time, body and prompt (hashes), number (how often this body has come), fault."""
        with self.lock:
            return list(self.entries)

    def enter(self, body: Body) -> str:
        """Count a request; the fault that it meets."""
        with self.lock:
            self.counts[digest(body)] += 1
            number = self.counts[digest(body)]
            fault = self.plan.fault(body, number)
            names = {"body": digest(body), "prompt": digest(body["messages"]), "number": number, "fault": fault}
            self.entries.append({"time": time.time(), **names})
            if self._file is not None:  # one write to a file opened for appending: whole lines, also after a kill
                os.write(self._file, (json.dumps(self.entries[-1]) + "\n").encode())
        return fault

    def completion(self, body: Body, fault: str) -> Body:
        """The body of a chat completion."""
        longest = body.get("max_completion_tokens", body.get("max_tokens", 10**6))
        content = None
        if body.get("logprobs") and self.logprobs:
            content = emitted(self.texts(body), self.cut, body.get("top_logprobs", 0), longest + 1)
            tokens = [entry["token"] for entry in content]
        else:
            tokens = pieces("[99]" if fault == "wrong_option" else self.answers(body))
        finish = "length" if len(tokens) > longest else "stop"
        message = {"role": "assistant", "content": "".join(tokens[:longest])}
        choice: Body = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
        if content is not None:
            choice["logprobs"] = {"content": content[:longest]}
        choices = [choice] * (2 if fault == "duplicate_choices" else 0 if fault == "no_choices" else 1)
        read, written = len(pieces(json.dumps(body["messages"]))), len(tokens[:longest])
        usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        return {"id": "x", "object": "chat.completion", "model": body["model"], "choices": choices, "usage": usage}


class _Http(ThreadingHTTPServer):
    daemon_threads, request_queue_size, loopback = True, 256, None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients hang up whenever they like."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Connection(BaseHTTPRequestHandler):
    protocol_version, disable_nagle_algorithm, wbufsize = "HTTP/1.1", True, 1 << 16

    def setup(self) -> None:
        super().setup()
        self.own: Loopback = self.server.loopback
        with self.own.lock:
            self.own.connections.add(self.connection)

    def finish(self) -> None:
        with self.own.lock:
            self.own.connections.discard(self.connection)
        super().finish()

    def log_message(self, *words: object) -> None:
        """Nothing; the log of requests is written elsewhere."""

    def do_GET(self) -> None:
        if not self.refused_key():
            found = self.path == "/v1/models" and self.own.models is not None
            self.send(
                200 if found else 404, {"data": [{"id": name, "object": "model"} for name in self.own.models or ()]}
            )

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        if self.refused_key():
            return
        if self.path != "/v1/chat/completions":
            self.send(404, _error("no such page"))
            return
        own, body = self.own, json.loads(raw)
        fault = own.enter(body)
        with own.lock:
            own.at_once += 1
            own.most_at_once = max(own.most_at_once, own.at_once)
        try:
            own.stopping.wait(own.plan.latency)
            self.reply(body, fault)
        finally:
            with own.lock:
                own.at_once -= 1

    def refused_key(self) -> bool:
        given = self.headers.get("Authorization", "")
        if self.own.key is None or given == f"Bearer {self.own.key}":
            return False
        self.send(401, _error(f"Incorrect API key provided: {given.removeprefix('Bearer ')}.", code="invalid_api_key"))
        return True

    def reply(self, body: Body, fault: str) -> None:
        plan = self.own.plan
        refusal = self.own.refuses(body)
        whole = json.dumps(self.own.completion(body, fault)).encode()
        if fault in ("limit", "limit_with_pause", "error_500", "error_503"):
            status = 429 if fault.startswith("limit") else int(fault[-3:])
            pause = {"Retry-After": plan.retry_after} if fault == "limit_with_pause" else {}
            self.send(status, _error("too busy" if status == 429 else "out of order"), pause)
        elif fault == "refuse" or refusal:
            self.send(400, refusal or _error("the prompt was filtered", code="content_filter"))
        elif fault in ("hang", "cut_before"):
            self.own.stopping.wait(plan.hang if fault == "hang" else 0)
            self.hang_up()
        elif fault == "cut_inside":
            self.send(200, whole, missing=len(whole) // 2)
            self.hang_up()
        elif fault == "garbage":
            self.send(200, b"<html>502 bad gateway</html>", {"Content-Type": "text/html"})
        elif fault == "truncated_json":
            self.send(200, whole[: len(whole) // 2])
        else:
            self.send(200, whole)

    def send(self, status: int, body: Body | bytes, headers: dict[str, str] | None = None, missing: int = 0) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) - missing])
        self.wfile.flush()

    def hang_up(self) -> None:
        self.close_connection = True
        _cut(self.connection)


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side was faster
        connection.shutdown(socket.SHUT_RDWR)


def _error(message: str, code: str | None = None, param: str | None = None) -> Body:
    return {"error": {"message": message, "type": "error", "param": param, "code": code}}


def main() -> None:
    """Serve as long as the process that started this one lives."""
    parent = os.getppid()
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--port-file", type=Path, required=True)
    words.add_argument("--faults", default="{}")
    words.add_argument("--log", type=Path)
    words.add_argument("--key")
    words.add_argument("--model", action="append")
    given = words.parse_args()
    plan = given.faults if given.faults.lstrip().startswith("{") else Path(given.faults).read_text()
    server = Loopback(Plan(**json.loads(plan)), given.log, given.key, tuple(given.model or ("loopback",)))
    written = given.port_file.with_suffix(".part")
    written.write_text(str(server.port))
    written.replace(given.port_file)
    while os.getppid() == parent:
        time.sleep(0.5)


if __name__ == "__main__":
    main()
