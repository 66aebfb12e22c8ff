"""A model that cannot be had is one sentence, at once: local folders, and a hub that answers over loopback."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from distiller.config import DistillerError
from distiller.engine.hub import check_model, fingerprint

ASK = """
import json, sys
from distiller.config import DistillerError
from distiller.engine.hub import check_model, fingerprint
for model, revision in json.loads(sys.argv[1]):
    try:
        check_model(model, revision)
        print("there")
    except DistillerError as error:
        print(str(error))
"""


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does: `x-error-code` tells the faults apart."""

    def do_HEAD(self) -> None:
        organisation, _, _, revision, *_ = self.path.strip("/").split("/")
        if organisation == "slow":
            time.sleep(8)
        authorised = self.headers.get("authorization") == "Bearer hf_right"
        status, code = {
            "gated": (200, None) if authorised else (403, "GatedRepo"),
            "bare": (404, "EntryNotFound"),
            "broken": (500, None),
            "good": (200, None) if revision == "main" else (404, "RevisionNotFound"),
            "slow": (200, None),
        }.get(organisation, (401, "RepoNotFound"))
        self.send_response(status)
        if code:
            self.send_header("x-error-code", code)
        self.send_header("x-repo-commit", "0" * 40)
        self.send_header("etag", '"1"')
        self.send_header("content-length", "2")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.daemon_threads = True
    server.block_on_close = False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def verdicts(models: list[tuple[str, str | None]], home: Path, **environment: str) -> list[str]:
    """What a fresh process says of each model: "there" or the sentence."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    answer = subprocess.run(
        [sys.executable, "-c", ASK, json.dumps(models)],
        env={**inherited, "HF_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return answer.stdout.splitlines()


def whole_folder(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (folder / name).write_text("{}")
    return folder


def downloaded(home: Path, name: str) -> Path:
    """A copy where the hub's client keeps them."""
    repository = home / "hub" / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    return whole_folder(repository / "snapshots" / ("0" * 40))


def test_each_fault_of_a_hub_id_is_one_sentence_with_the_way_out(endpoint, tmp_path):
    faults = {
        ("good/model", None): "there",
        ("gated/model", None): f"is gated: accept its licence at {endpoint}/gated/model and log in",
        ("nobody/nothing", None): f"neither a local folder nor found at {endpoint}",
        ("good/model", "v9"): "has no revision 'v9'",
        ("bare/model", None): "has no config.json",
        ("one/two/three", None): "neither a local folder nor an id like 'organisation/name'",
        ("broken/model", None): f"{endpoint} cannot be asked (",
    }
    got = verdicts(list(faults), tmp_path, HF_ENDPOINT=endpoint)
    assert len(got) == len(faults), "one line each"
    for sentence, expected in zip(got, faults.values(), strict=True):
        assert expected in sentence


def test_a_token_opens_a_gated_model(endpoint, tmp_path):
    assert verdicts([("gated/model", None)], tmp_path, HF_ENDPOINT=endpoint, HF_TOKEN="hf_right") == ["there"]
    (refused,) = verdicts([("gated/model", None)], tmp_path, HF_ENDPOINT=endpoint, HF_TOKEN="hf_wrong")
    assert "is gated" in refused


def test_a_hub_that_does_not_answer_is_given_up_after_about_two_seconds(endpoint, tmp_path):
    begin = time.monotonic()
    (sentence,) = verdicts([("slow/model", None)], tmp_path, HF_ENDPOINT=endpoint)
    assert f"{endpoint} cannot be asked" in sentence
    assert "no copy of it is downloaded" in sentence
    assert time.monotonic() - begin < 6, "with the start of a process"


def test_a_downloaded_copy_serves_while_the_hub_is_away_but_only_a_whole_one(endpoint, tmp_path):
    folder = downloaded(tmp_path, "slow/model")
    asked = [("slow/model", None), ("good/model", None)]
    offline = verdicts(asked, tmp_path, HF_ENDPOINT=endpoint, HF_HUB_OFFLINE="1")
    assert offline[0] == "there"
    assert "'good/model' cannot be fetched because HF_HUB_OFFLINE is set and no copy of it is downloaded" in offline[1]
    assert verdicts([("slow/model", None)], tmp_path, HF_ENDPOINT="http://127.0.0.1:9") == ["there"]
    (folder / "model.safetensors").unlink()
    (cut,) = verdicts([("slow/model", None)], tmp_path, HF_ENDPOINT=endpoint, HF_HUB_OFFLINE="1")
    assert f"the downloaded copy {folder} is a folder without weights" in cut


@pytest.mark.parametrize(
    ("lacking", "sentence"),
    [
        (None, None),
        ("config.json", "without config.json"),
        ("tokenizer.json", "without a tokenizer"),
        ("model.safetensors", "without weights"),
    ],
)
def test_a_local_folder_must_be_whole(lacking, sentence, tmp_path):
    folder = whole_folder(tmp_path / "model")
    if lacking is None:
        check_model(str(folder), None)
        return
    (folder / lacking).unlink()
    with pytest.raises(DistillerError, match=sentence):
        check_model(str(folder), None)


def test_an_adapter_an_absent_folder_and_a_revision_of_a_folder_are_told(tmp_path):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    with pytest.raises(DistillerError, match="a LoRA adapter: set model to its base model"):
        check_model(str(adapter), None)
    for absent in (str(tmp_path / "absent"), "./absent", "~/absent"):
        with pytest.raises(DistillerError, match="looks like a path, but there is no such folder"):
            check_model(absent, None)
    with pytest.raises(DistillerError, match="is a local folder and has no revision 'v1'"):
        check_model(str(whole_folder(tmp_path / "model")), "v1")


def test_a_folder_whose_weights_changed_has_another_fingerprint(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(bytes(3 * 2**20))
    before = fingerprint(str(tmp_path))
    assert before == fingerprint(str(tmp_path))
    for place in (0, 3 * 2**20 - 1):
        changed = bytearray(3 * 2**20)
        changed[place] = 1
        weights.write_bytes(changed)
        assert fingerprint(str(tmp_path)) != before
    assert fingerprint("organisation/name") is None
