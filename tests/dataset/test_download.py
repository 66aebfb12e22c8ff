"""Downloading from a real server on loopback, with every fault we could think of, and converting what came."""

import csv
import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

from distiller.config import DistillerError
from distiller.dataset import download
from distiller.dataset.benchmark import Benchmark
from distiller.dataset.convert import SOURCES, STRATEGIES, TEACHERS, Paths

DATA = Path(os.environ.get("DISTILLER_DATA") or Path(__file__).parents[3] / "shared" / "data")
TREE = DATA.parent / "upstream" / "tree"
N_FILES = 16
pytestmark = pytest.mark.skipif(not TREE.is_dir(), reason="needs the authors' files beside DISTILLER_DATA")


class Server(ThreadingHTTPServer):
    """The authors' repository on loopback: `faults` says what goes wrong with a file and how often."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), partial(Answers, directory=str(TREE)))
        self.faults: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


class Answers(SimpleHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        faults = next((f for name, f in self.server.faults.items() if unquote(self.path).endswith("/" + name)), [])
        fault = faults.pop(0) if faults else None
        if fault is None:
            super().do_GET()
        elif fault.isdigit():
            self.send_error(int(fault))
        else:
            content = bytearray(Path(self.translate_path(self.path)).read_bytes())
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if fault == "altered":
                content[1000] ^= 1
            self.wfile.write(content[: len(content) // 2] if fault == "cut" else content)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    served = Server()
    yield served
    served.shutdown()
    served.server_close()


@pytest.fixture(autouse=True)
def quick_and_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "PAUSE", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that comes of a real download of Abt-Buy."""
    served = Server()
    os.environ["NO_PROXY"] = "127.0.0.1"
    folder = download.obtain("abt-buy", tmp_path_factory.mktemp("cache"), served.url + "/")
    assert len(served.asked) == N_FILES
    served.shutdown()
    served.server_close()
    return folder


def text(path: Path) -> str:
    return (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode()


def left_behind(cache: Path) -> list[str]:
    """Everything below a cache but empty lock files and the folder they lie in."""
    found = [path for path in cache.rglob("*") if path.suffix != ".lock" or path.stat().st_size]
    return sorted(path.name for path in found if path != cache / f"benchmarks-{download.VERSION}")


@pytest.mark.parametrize(
    "file",
    ["left.csv.gz", "right.csv.gz", "matches.csv"]
    + [f"splits/{strategy}.csv" for strategy in STRATEGIES]
    + [f"annotations/{teacher}.jsonl.gz" for teacher in TEACHERS],
)
def test_converting_the_authors_files_gives_the_same_text_as_our_data(converted: Path, file: str) -> None:
    assert text(converted / file) == text(DATA / "abt-buy" / file)


def test_converted_candidates_are_those_of_our_data_in_the_same_order_with_the_same_similarity(converted: Path) -> None:
    ours, data = (list(csv.reader(text(f / "candidates.csv.gz").splitlines())) for f in (converted, DATA / "abt-buy"))
    assert [row[:3] for row in ours] == [row[:3] for row in data]
    away = [abs(float(a[3]) - float(b[3])) for a, b in zip(ours[1:], data[1:], strict=True)]
    assert max(away) < 1.01e-4  # one pair lies on the border between two roundings
    assert sum(a > 1e-6 for a in away) <= 1


def test_the_description_of_a_converted_dataset_agrees_with_our_data(converted: Path) -> None:
    ours, data = (json.loads((folder / "dataset.json").read_text()) for folder in (converted, DATA / "abt-buy"))
    assert ours == {key: data[key] for key in ours}


def test_a_downloaded_dataset_is_the_same_records_and_needs_no_server_any_more(converted: Path) -> None:
    cached = Benchmark(name="abt-buy", cache=converted.parent.parent, url="http://127.0.0.1:1").load()
    given = Benchmark(name="abt-buy", root=DATA).load()
    assert cached.key == given.key
    assert cached.folder == converted


def test_what_a_root_lacks_comes_from_the_cache(converted: Path, tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "not there"):
        benchmark = Benchmark(name="abt-buy", root=root, cache=converted.parent.parent, url="http://127.0.0.1:1")
        assert benchmark.folder() == converted


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("404", "answered 404"),
        ("500", "answered 500"),
        ("cut", "broke off before its end"),
        ("altered", "has checksum"),
    ],
)
def test_a_file_that_cannot_be_had_is_named_and_nothing_is_left(
    server: Server, tmp_path: Path, fault: str, said: str
) -> None:
    server.faults["buy.csv"] = [fault] * 10
    with pytest.raises(DistillerError, match=said) as raised:
        Benchmark(name="abt-buy", cache=tmp_path, url=server.url).load()
    assert f"{server.url}/data/ccer/cleaned/original/D2/buy.csv" in str(raised.value)
    assert "data.root=" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert left_behind(tmp_path) == []
    assert len(server.asked) == (1 if fault == "404" else download.ATTEMPTS)


def test_a_fault_in_the_last_file_leaves_as_little_as_one_in_the_first(server: Server, tmp_path: Path) -> None:
    last = Paths(SOURCES["abt-buy"]).all()[-1]
    server.faults[last] = ["404"] * 10
    with pytest.raises(DistillerError, match=r"qwen2\.5%3A32b/D2_responses\.json answered 404"):
        Benchmark(name="abt-buy", cache=tmp_path, url=server.url).load()
    assert left_behind(tmp_path) == []


def test_a_server_that_is_down_is_one_sentence_with_a_way_out(server: Server, tmp_path: Path) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(
        DistillerError, match=r"cannot be reached \(Connection refused\); set DISTILLER_DATA= or"
    ) as raised:
        Benchmark(name="abt-buy", cache=tmp_path, url=server.url).load()
    assert "\n" not in str(raised.value)
    assert left_behind(tmp_path) == []


def test_passing_faults_are_overcome_and_what_a_killed_download_left_is_cleared(server: Server, tmp_path: Path) -> None:
    server.faults = {"buy.csv": ["503", "cut"], "gt.csv": ["altered"], "D2_predictions.csv": ["429"]}
    killed = tmp_path / f"benchmarks-{download.VERSION}" / ".abt-buy.part" / "raw"
    killed.mkdir(parents=True)
    (killed / "half a file").write_text("half")
    records = Benchmark(name="abt-buy", cache=tmp_path, url=server.url).load()
    assert records.key == Benchmark(name="abt-buy", root=DATA).load().key
    assert len(server.asked) == N_FILES + 4
    assert {path.name for path in records.folder.parent.iterdir()} == {"abt-buy", ".abt-buy.lock"}  # type: ignore[union-attr]


LOAD = """
import resource, sys
from pathlib import Path
from distiller.config import DistillerError
from distiller.dataset import download
limit, cache, url = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    print(download.obtain("abt-buy", cache, url))
except DistillerError as error:
    sys.exit(str(error))
"""


def loading(cache: Path, url: str, limit: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", LOAD, str(limit), str(cache), url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_download_once(server: Server, tmp_path: Path) -> None:
    both = [loading(tmp_path, server.url) for _ in range(2)]
    folders = {process.communicate(timeout=120)[0].strip() for process in both}
    assert folders == {str(tmp_path / f"benchmarks-{download.VERSION}" / "abt-buy")}
    assert len(server.asked) == N_FILES


def test_a_disk_that_takes_no_more_is_named_and_nothing_is_left(server: Server, tmp_path: Path) -> None:
    process = loading(tmp_path, server.url, limit=200_000)  # the system refuses larger files
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "cannot keep abt-buy in" in said
    assert "data.cache=" in said
    assert "Traceback" not in said
    assert left_behind(tmp_path) == []


def test_a_cache_that_is_a_file_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(DistillerError, match=r"cannot keep abt-buy in .*cache.*data\.cache="):
        download.obtain("abt-buy", tmp_path / "cache", server.url)


def test_an_address_that_is_none_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(DistillerError, match="no http address"):
        download.obtain("abt-buy", tmp_path, "a/folder")
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(("name", "hint"), [("febrl4", "known: abt-buy"), ("abt-by", "did you mean 'abt-buy'")])
def test_a_dataset_that_is_not_in_the_repository_is_never_asked_for(
    server: Server, tmp_path: Path, name: str, hint: str
) -> None:
    with pytest.raises(DistillerError, match=rf"{name} is not in the authors' repository.*{hint}.*DISTILLER_DATA="):
        Benchmark(name=name, cache=tmp_path, url=server.url).load()
    assert server.asked == []
    assert list(tmp_path.iterdir()) == []


def test_every_file_of_every_dataset_has_the_id_that_the_listing_gives_it() -> None:
    with open(TREE.parent / "files.csv", newline="") as file:
        listed = {row["path"]: row["git_blob_sha1"] for row in csv.DictReader(file)}
    ids = download.blob_ids()
    assert set(ids) == {path for source in SOURCES.values() for path in Paths(source).all()}
    assert ids == {path: listed[path] for path in ids}


def test_the_id_of_a_file_is_the_one_git_gives_it() -> None:
    files = [path for path in TREE.rglob("*") if path.is_file()]
    assert len(files) == N_FILES
    ids = download.blob_ids()
    assert {path: download.blob_id(path) for path in files} == {
        path: ids[str(path.relative_to(TREE))] for path in files
    }
