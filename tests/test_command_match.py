"""The console on saved students and finished runs: match, explain, report, leaderboard, export, push."""

import base64
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow.parquet as pq
import pytest
from command import here, rows, succeeded, tabled
from test_layers import HEAVY

import distiller
from distiller.command import main

COMMANDS = ("run", "match", "explain", "report", "leaderboard", "export", "push", "data", "cache")


@pytest.fixture(scope="module")
def run(command, tables, tmp_path_factory):
    folder = tmp_path_factory.mktemp("console")
    words = [*tabled(tables, matches=f"{tables}/gold.csv"), "student.rounds=20", "student.members=2", "logger=none"]
    succeeded(command(*words, *here(folder), folder=folder))
    return folder / "run"


@pytest.fixture
def files(tables):
    return [str(tables / "a.csv"), str(tables / "b.csv"), "--query-id", "key", "--candidate-id", "key"]


def refused(capsys, *words):
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    assert left.value.code == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


def test_match_writes_the_matches_of_the_run(run, files, tmp_path, capsys):
    main(["match", str(run), *files, "-o", str(tmp_path / "new" / "matches.csv")])
    found = rows(tmp_path / "new" / "matches.csv")
    expected = rows(run / "matches.csv")
    assert capsys.readouterr().out.endswith(
        f"{len(found)} matches of 90 queries written to {tmp_path / 'new' / 'matches.csv'}\n"
    )
    assert [(r["query_id"], r["candidate_id"]) for r in found] == [(r["query_id"], r["candidate_id"]) for r in expected]
    assert [float(r["probability"]) for r in found] == pytest.approx([float(r["probability"]) for r in expected])
    main(
        [
            "match",
            str(run),
            *files,
            "-o",
            str(tmp_path / "all.parquet"),
            "--many-to-many",
            "--rationales",
            "--chunk",
            "40",
        ]
    )
    several = pq.read_table(tmp_path / "all.parquet").to_pylist()
    assert len(several) > 20
    assert all(r["rationale"] for r in several)
    main(["match", str(run), files[0], "--query-id", "key", "-o", str(tmp_path / "one.csv"), "--many-to-many"])
    assert all(r["query_id"] < r["candidate_id"] for r in rows(tmp_path / "one.csv"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["all.parquet", "new", "one.csv"], (
        "nothing half-written is left"
    )


def test_explain_shows_query_candidates_probabilities_and_reasons(run, files, tables, capsys):
    match = max(rows(run / "matches.csv"), key=lambda r: float(r["probability"]))
    main(["explain", str(run), *files, "--query", match["query_id"]])
    said = capsys.readouterr().out
    record = next(r for r in rows(tables / "a.csv") if r["key"] == match["query_id"])
    head, *lines = said.splitlines()
    assert head.startswith(f"query {match['query_id']}: ")
    for name, value in record.items():
        assert name == "key" or not value or f"{name}: {value}" in head
    options = [line for line in lines if line[:1] in "> " and line[2:3] in "01" and "  " in line]
    shown = [float(line[2:7]) for line in options]
    assert shown == sorted(shown, reverse=True)
    assert sum(shown) == pytest.approx(1.0, abs=0.001 * len(shown))
    assert sum(line.endswith("none of them") for line in options) == 1
    (chosen,) = [line for line in options if line.startswith("> ")]
    assert chosen[9:].startswith(f"{match['candidate_id']}: ")
    reasons = [line for line in lines if line.startswith(" " * 11)]
    assert len(reasons) >= len(options) - 1
    assert all(reason.strip()[0] in "+-" for reason in reasons)
    assert "a candidate that several queries choose is the match of one of them" in lines[-1]


def test_faults_are_one_sentence(run, files, tmp_path, capsys):
    assert "there is no query 'Q-01'; did you mean 'Q-0" in refused(capsys, "explain", run, *files, "--query", "Q-01")
    assert "there is no query 'zzz'; the first is 'Q-000'" in refused(capsys, "explain", run, *files, "--query", "zzz")
    for words, said in (
        (["match", run, *files, "-o", "x.txt"], "matches are written as .csv or .parquet"),
        (["match", run, *files, "--chunk", "0"], "must be at least 1, got 0"),
        (["match", run, *files, "--threads", "0"], "must be at least 1, got 0"),
        (["match", run, files[0], *files[2:]], "--candidate-id=key names a column of a second table"),
        (["match", tmp_path, *files], "holds no student (it has no distiller.json)"),
        (["match", run, "absent.csv", "b.csv"], "absent.csv"),
        (["export", run, tmp_path / "x.onnx"], "only encoders are exported to ONNX, and boosted is none"),
        (["report", tmp_path], "scorecard.json"),
        (["leaderboard", tmp_path], "no finished run below"),
        (["leaderboard", tmp_path / "absent"], "is no folder"),
        (
            ["leaderboard", run, "--metrics", "pair_f"],
            "there is no metric 'pair_f' of a leaderboard; did you mean 'pair_f1'?",
        ),
        (["leaderboard", run, "--forms", "best"], "there is no form 'best' of a leaderboard"),
    ):
        assert said in refused(capsys, *words), words
    assert not list(tmp_path.iterdir())


def test_report_and_leaderboard_write_their_pages(run, tmp_path, capsys):
    main(["report", str(run), "-o", str(tmp_path / "page.html")])
    assert capsys.readouterr().out == f"written to {tmp_path / 'page.html'}\n"
    assert "<h2>Scores</h2>" in (tmp_path / "page.html").read_text()
    main(["leaderboard", str(run), "--to", str(tmp_path / "board"), "--draws", "50", "--metrics", "pair_f1"])
    assert "2 boards written to" in capsys.readouterr().out
    assert {p.name for p in (tmp_path / "board").iterdir()} == {"LEADERBOARD.md", "leaderboard.csv", "leaderboard.html"}


def test_every_command_explains_itself_without_loading_anything_heavy():
    program = (
        "import sys\nfrom distiller.command import main\n"
        f"for name in [None, *{[c for c in COMMANDS if c != 'run']}]:\n"
        "    try:\n        main([*([name] if name else []), '--help'])\n"
        "    except SystemExit as left:\n        assert left.code == 0\n"
        "print('LOADED', *sorted(name for name in sys.modules if '.' not in name))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    said, _, loaded = ran.stdout.partition("LOADED")
    assert said.count("usage: distiller") == len(COMMANDS)
    assert all(f"\n    {name}" in said for name in COMMANDS)
    assert not set(loaded.split()) & set(HEAVY)


class Hub(ThreadingHTTPServer):
    """As much of the hub as an upload asks for; keeps what it was sent."""

    def __init__(self, private):
        super().__init__(("127.0.0.1", 0), _Asked)
        self.private, self.files, self.calls, self.tokens = private, {}, [], set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Asked(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def _say(self, content):
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _seen(self):
        self.server.calls.append((self.command, self.path))
        self.server.tokens.add(self.headers.get("Authorization"))

    def do_GET(self):
        self._seen()
        self._say({"id": "me/student", "private": self.server.private, "siblings": [], "sha": "0" * 40})

    def do_POST(self):
        self._seen()
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/api/repos/create":
            self.server.created = json.loads(body)
            self._say({"url": f"{self.server.url}/me/student"})
        elif "/preupload/" in self.path:
            paths = [each["path"] for each in json.loads(body)["files"]]
            self._say({"files": [{"path": p, "uploadMode": "regular", "shouldIgnore": False} for p in paths]})
        elif "/commit/" in self.path:
            for line in map(json.loads, body.decode().splitlines()):
                if line["key"] == "file":
                    self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            url = f"{self.server.url}/me/student/commit/{'0' * 40}"
            self._say({"success": True, "commitOid": "0" * 40, "commitUrl": url})
        else:
            self._say({"errors": [], "warnings": []})


def pushed(run, home, *words, **changes):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    ran = subprocess.run(
        [sys.executable, "-m", "distiller.command", "push", str(run), "me/student", *words],
        env={**kept, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1", **changes},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in ran.stderr
    return ran


def test_push_uploads_the_student_and_nothing_that_lies_beside_it(run, tmp_path):
    student = distiller.load(run).folder
    (student / "private-notes.txt").write_text("nobody asked for this")
    hub = Hub(private=True)
    try:
        ran = pushed(run, tmp_path, HF_ENDPOINT=hub.url, HF_TOKEN="hf_secret")
    finally:
        hub.shutdown()
        (student / "private-notes.txt").unlink()
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip().endswith(f"uploaded to {hub.url}/me/student")
    assert hub.files == {p.relative_to(student).as_posix(): p.read_bytes() for p in student.rglob("*") if p.is_file()}
    assert {"README.md", "distiller.json", "student.json"} < hub.files.keys()
    assert hub.created.get("private") is True or hub.created.get("visibility") == "private"
    assert hub.tokens == {"Bearer hf_secret"}
    assert "hf_secret" not in ran.stdout + ran.stderr + "".join(p.decode("utf-8", "ignore") for p in hub.files.values())


def test_nothing_is_uploaded_without_a_token_or_where_others_would_see_it(run, tmp_path):
    hub = Hub(private=False)
    try:
        without = pushed(run, tmp_path, HF_ENDPOINT=hub.url)
        assert not hub.calls
        public = pushed(run, tmp_path, HF_ENDPOINT=hub.url, HF_TOKEN="hf_secret")
    finally:
        hub.shutdown()
    assert (without.returncode, public.returncode) == (1, 1)
    assert without.stderr.strip() == (
        f"error: pushing to {hub.url} needs a token: log in with `hf auth login`, or set HF_TOKEN"
    )
    assert "me/student is a public repository" in public.stderr
    assert not hub.files
    dead = pushed(run, tmp_path, HF_ENDPOINT="http://127.0.0.1:9", HF_TOKEN="hf_secret")
    assert dead.returncode == 1
    assert dead.stderr.strip().startswith("error: http://127.0.0.1:9 did not take me/student (")
    assert "hf_secret" not in dead.stderr
