"""The Makefile stays small enough to be read, and says what each target does."""

import re
from pathlib import Path

RULE = re.compile(r"^(?P<name>[A-Za-z][\w.-]*):(?!=)(?P<rest>.*)$", re.MULTILINE)
MOST_TARGETS = 15


def targets(makefile: str) -> dict[str, str]:
    """Each target and the sentence that `make help` shows for it."""
    return {rule["name"]: rule["rest"].partition("##")[2].strip() for rule in RULE.finditer(makefile)}


def test_there_are_at_most_fifteen_targets_and_each_is_explained(repository: Path) -> None:
    found = targets((repository / "Makefile").read_text())
    assert {"demo", "test", "check", "fix", "bench", "docs"} <= set(found)
    assert len(found) <= MOST_TARGETS
    assert [name for name, sentence in found.items() if not sentence] == []


def test_targets_are_counted_and_assignments_are_not() -> None:
    makefile = "A := 1\nB ?= 2\n.PHONY: x\nx:  ## does x\n\techo x: y\ny: x\n"
    assert targets(makefile) == {"x": "does x", "y": ""}


def test_continuous_integration_runs_make_check_and_make_test_and_nothing_hidden(repository: Path) -> None:
    script = (repository / ".ci/run").read_text()
    assert re.findall(r"^make (\w+)", script, re.MULTILINE) == ["check", "test"]
    assert re.findall(r"^ +make (.+)", script, re.MULTILINE) == [
        'test ARGS="--last-failed --last-failed-no-failures=none"'
    ]
    assert "TIERWISE_REQUIRE_COUNTERPARTS=1" in script
    assert (repository / ".ci/run").stat().st_mode & 0o111 == 0o111
