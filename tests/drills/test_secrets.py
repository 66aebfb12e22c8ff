"""Keys and passwords of a run reach nothing that it writes or says, whether it succeeds or fails."""

from pathlib import Path

import pytest
import yaml
from command import Commands, Outcome
from conftest import Tally

from distiller.logger.secrets import hide_in_yaml, without_secrets

KEYS = {
    "OPENAI_API_KEY": "sk-drill-0815-openai",
    "WANDB_API_KEY": "0815abcdef" * 4,
    "HF_TOKEN": "hf_drill0815secret",
    "SERVER_PASSWORD": "drill-pass-0815",
}
TYPED = "typed-word-0815"
ADDRESS = f"http://nobody:{TYPED}@127.0.0.1:9/${{oc.env:OPENAI_API_KEY}}?api_key={TYPED}"
RUN = [
    *("dataset.queries=60", "dataset.candidates=80", "student.rounds=5", "logger=wandb"),
    f"data.url={ADDRESS!r}",
]
WAYS = {
    "a run": RUN,
    "a sweep": ["-m", *RUN, "dataset.seed=1,2"],
    "a run that finds no data": [*RUN, "dataset=abt-buy", "data.root=null"],
    "a run that finds no server": [*RUN, "teacher=openai", "teacher.model=x", f"teacher.engine.url={ADDRESS!r}"],
    "a run whose server is no address": [*RUN, "teacher=openai", "teacher.model=x", f"teacher.engine.url='x{ADDRESS}'"],
    "a sweep that finds no server": [
        "-m",
        *RUN,
        *("dataset.seed=1,2", "teacher=openai", "teacher.model=x", f"teacher.engine.url={ADDRESS!r}"),
    ],
    "a run with a key where a number belongs": [*RUN, "selector.budget=${oc.env:HF_TOKEN}"],
    "a run with a wrong key": [*RUN, f"data.urll={ADDRESS!r}"],
}


def told(outcome: Outcome) -> bytes:
    return (outcome.out + outcome.err).encode()


@pytest.mark.parametrize("way", WAYS)
def test_no_secret_is_written_or_said(command: Commands, tmp_path: Path, way: str, tally: Tally) -> None:
    words = list(WAYS[way])
    if way == "a run that finds no data":
        words = [w for w in words if not w.startswith(("dataset.queries", "dataset.candidates"))]
    places = [f"hydra.run.dir={tmp_path}/run", f"hydra.sweep.dir={tmp_path}/sweep", f"store.root={tmp_path}/store"]
    outcome = command(*words, *places, f"data.cache={tmp_path}/cache", folder=tmp_path, **KEYS, OPENAI_BASE_URL="")
    failed = "no " in way or "wrong" in way or "belongs" in way
    assert outcome.code == int(failed), outcome.err
    assert "Traceback" not in outcome.err
    secret = [each.encode() for each in (*KEYS.values(), TYPED)]
    assert not [each for each in secret if each in told(outcome)], outcome.err
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    for path in files:
        assert not [each for each in secret if each in path.read_bytes()], path
        if path.suffix == ".yaml" and "wandb" not in path.parts:
            yaml.safe_load(path.read_text(encoding="utf-8"))
    names = {path.name for path in files}
    if way == "a run":
        assert {"overrides.yaml", "hydra.yaml", "scorecard.json", "distiller.json"} <= names
    if way.startswith("a sweep"):
        assert {"multirun.yaml", "job.json"} <= names
    assert ("failure.json" in names) == (way == "a sweep that finds no server")
    tally("nothing told")


def test_a_file_whose_value_is_a_secret_stays_yaml_and_one_without_secrets_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", "drill-key-0815")
    path = tmp_path / "hydra.yaml"
    path.write_text("key: drill-key-0815\nlist: ['url=http://a:b@c/${x}', 3]\nx: 1\n")
    hide_in_yaml(path)
    assert yaml.safe_load(path.read_text()) == {"key": "***", "list": ["url=http://***@c/${x}", 3], "x": 1}
    before = path.stat().st_mtime_ns
    hide_in_yaml(path)
    assert path.stat().st_mtime_ns == before
    hide_in_yaml(tmp_path / "nothing.yaml")
    assert list(tmp_path.iterdir()) == [path]


def test_keys_in_the_query_of_an_address_are_hidden_and_nothing_else_of_it() -> None:
    address = "https://h/v1?model=a&api_key=secret1&Token=secret2#part"
    assert without_secrets(address, {}) == "https://h/v1?model=a&api_key=***&Token=***#part"
    assert without_secrets("a?keyboard=1&monkey=2", {}) == "a?keyboard=1&monkey=2"
