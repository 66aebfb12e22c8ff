"""A run that is killed at any moment leaves nothing that a later run could mistake for a result."""

import random
import shutil
import time
from pathlib import Path

from command import QUIET, SMALL, Commands, card, kept, scores, succeeded

KILLS = 10


def test_after_ten_kills_at_random_moments_the_scorecard_is_that_of_an_undisturbed_run(
    command: Commands, tmp_path: Path
) -> None:
    def run(name: str, store: Path, kill_after: float | None = None) -> int:
        words = [*SMALL, QUIET, f"hydra.run.dir={tmp_path}/{name}", f"store.root={store}"]
        outcome = command(*words, folder=tmp_path, kill_after=kill_after)
        if outcome.code != -9:
            succeeded(outcome)
        return outcome.code

    start = time.monotonic()
    assert run("undisturbed", tmp_path / "undisturbed-store") == 0
    whole = time.monotonic() - start
    expected, wanted = scores(card(tmp_path / "undisturbed")), set(kept(tmp_path / "undisturbed-store"))

    store, moments = tmp_path / "store", random.Random(1924)
    killed, attempt, disturbed_at_work = 0, 0, 0
    while True:
        name, attempt = f"run-{attempt}", attempt + 1
        code = run(name, store, moments.uniform(0.1, 0.9) * whole if killed < KILLS else None)
        scorecard = tmp_path / name / "scorecard.json"
        if code:
            killed += 1
            disturbed_at_work += bool(kept(store)) and not wanted <= set(kept(store))
        if scorecard.exists():  # it is whole or not there, also when the kill came just after it was written
            assert scores(card(tmp_path / name)) == expected
        if code == 0:
            assert set(kept(store)) == wanted
            assert not list(store.rglob("*.part")), "leftovers of the kills are gone"
            matches = [(tmp_path / run / "matches.csv").read_bytes() for run in (name, "undisturbed")]
            assert matches[0] == matches[1]
            if killed >= KILLS:
                break
            shutil.rmtree(store)  # it got through; the next is disturbed from its beginning
    assert disturbed_at_work, "no kill came between two stages; the moments are badly chosen"
