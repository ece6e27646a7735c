"""The demo's folder: made, made anew, and nobody else's."""

from pathlib import Path
from typing import Any

import pytest


def test_a_demo_in_the_working_folder_is_replaced_by_the_next_and_says_what_still_answers(
    tierwise: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = [tierwise("demo", "--simulated", "--orders", "10", "--output", ".").out for _ in range(2)]
    assert told[0] == told[1]
    # What it says of the endpoints at its end is what they do.
    assert (
        "The simulations are files beside these, so `pool list` and `vm list` go on answering." in told[0]
    )
    states = tierwise.at(tmp_path / "data")("pool", "list", "-o", "csv", "--columns", "state").out
    assert set(states.split()) == {"state", "ready"}


def test_a_data_directory_beside_is_not_taken_for_an_earlier_demo(tierwise: Any, tmp_path: Path) -> None:
    tierwise.at(tmp_path / "data")("init")
    before = sorted(tmp_path.rglob("*"))
    ended = tierwise("demo", "--simulated", "--output", tmp_path, code=3)
    assert "holds something else than an earlier demo; name another with --output" in ended.err
    assert sorted(tmp_path.rglob("*")) == before
