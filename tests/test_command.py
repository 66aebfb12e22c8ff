"""The console command: replies leave one store and enter another, recorded answers become replies."""

import gzip
import json
import os
from pathlib import Path

import pytest
from command import QUIET, here, succeeded

from distiller.command import main
from distiller.engine.base import Reply, Request
from distiller.engine.reply_cache import Asker, ReplyCache

CONF = Path(__file__).parents[1] / "conf"
ANNOTATIONS = Path(os.environ["DISTILLER_DATA"]) / "abt-buy" / "annotations"
#: A run whose prompts show the candidates as the recorded model saw them.
RUN = ["dataset=abt-buy", "teacher=qwen2.5-32b", "teacher.elicitation.order=reference"]


def filled(store, numbers):
    with ReplyCache(store / "replies.sqlite") as cache:
        for n in numbers:
            cache.put(Asker("m", None, {"class": "e"}), Request((("user", f"question {n}"),)), Reply(f"[{n}]"))


def lines(store):
    with ReplyCache(store / "replies.sqlite") as cache:
        return list(cache.lines())


@pytest.mark.parametrize("name", ["shared.jsonl", "shared.jsonl.gz"])
def test_exported_replies_enter_another_store_once(name, tmp_path, capsys):
    filled(tmp_path / "one", range(5))
    filled(tmp_path / "two", range(3, 8))
    main(["cache", "export", str(tmp_path / name), "--store", str(tmp_path / "one")])
    assert capsys.readouterr().out == f"5 replies written to {tmp_path / name}\n"
    main(["cache", "import", str(tmp_path / name), "--store", str(tmp_path / "two")])
    assert capsys.readouterr().out == f"{tmp_path / name}: 3 replies added, 2 known already\n"
    assert len(lines(tmp_path / "two")) == 8
    assert {json.loads(line)["reply"]["text"] for line in lines(tmp_path / "two")} == {f"[{n}]" for n in range(8)}
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, "one", "two"]), "nothing half-written is left"


def test_replies_can_be_read_on_the_screen(tmp_path, capsys):
    filled(tmp_path, [4])
    main(["cache", "export", "-", "--store", str(tmp_path)])
    assert json.loads(capsys.readouterr().out)["reply"]["text"] == "[4]"


@pytest.mark.needs_data
def test_recorded_answers_of_a_model_replay_the_run_that_would_have_asked_it(command, tmp_path, capsys):
    file = ANNOTATIONS / "qwen2.5-32b.jsonl.gz"
    words = [str(file), *RUN, "--store", str(tmp_path / "store"), "--conf", str(CONF)]
    main(["cache", "import", *words])
    assert capsys.readouterr().out == f"{file}: 1,047 replies added, 0 known already\n"
    main(["cache", "import", *words])
    assert "0 replies added, 1,047 known already" in capsys.readouterr().out
    run = [*RUN, "selector=recorded", "until=elicit", QUIET, *here(tmp_path)]
    succeeded(command(*run, folder=tmp_path))
    card = json.loads((tmp_path / "run" / "scorecard.json").read_text())["datasets"]["abt-buy"]
    assert card["teacher"]["plain"]["selection_accuracy"] == pytest.approx(
        0.9231, abs=1e-4
    )  # the published table says .92
    assert card["spent"]["requests"] == card["spent"]["cached"] == 104
    assert card["spent"]["forecast"]["asked"] == 0


@pytest.mark.needs_data
def test_what_cannot_be_imported_is_said_in_one_sentence(tmp_path, capsys):
    annotations = ANNOTATIONS / "llama3.1-70b.jsonl.gz"
    (tmp_path / "cut.jsonl.gz").write_bytes(annotations.read_bytes()[:-100])
    with gzip.open(annotations, "rt") as file:
        first = json.loads(file.readline())
    first["options"] = first["options"][::-1]
    (tmp_path / "turned.jsonl").write_text(json.dumps(first) + "\n")
    (tmp_path / "mixed.jsonl").write_text(json.dumps(first) + "\n{}\n")
    store = ["--store", str(tmp_path / "store"), "--conf", str(CONF)]
    for words, said in [
        (
            ["export", str(tmp_path / "x")],
            "does not exist, so there are no replies to export; name the store with --store",
        ),
        (["import", str(tmp_path / "x")], "No such file or directory"),
        (["import", "dataset=abt-buy"], "cache import needs at least one file"),
        (
            ["import", str(annotations)],
            "say of which dataset and teacher they are, for example dataset=abt-buy teacher=",
        ),
        (["import", str(tmp_path / "cut.jsonl.gz"), *RUN], "cut.jsonl.gz cannot be read"),
        (
            ["import", str(tmp_path / "turned.jsonl"), *RUN],
            "another order than the prompt shows; set blocker=recorded and",
        ),
        (
            ["import", str(tmp_path / "mixed.jsonl"), *RUN],
            "mixed.jsonl, line 2 is no recorded answer with the fields answer_raw",
        ),
        (
            ["import", str(annotations), *RUN, "teacher.samples=0"],
            "teacher.samples: must be greater than or equal to 1",
        ),
        (["import", str(annotations), "dataset=abt-by", "teacher=qwen2.5-32b"], "did you mean 'abt-buy'?"),
        (["import", str(annotations), *RUN, "--conf", str(tmp_path)], "is no configuration folder"),
    ]:
        with pytest.raises(SystemExit) as left:
            main(["cache", words[0], *store[: None if words[0] == "import" else 2], *words[1:]])
        assert left.value.code == 1
        assert said in capsys.readouterr().err, words
    assert not (tmp_path / "store" / "replies.sqlite").exists() or not lines(tmp_path / "store")
