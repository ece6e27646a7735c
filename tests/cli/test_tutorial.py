"""The tutorials, the reference's examples and three how-tos, run as they stand: pages that lie fail.

Every ```bash block is run, in one shell from the first page to the last, and the lines of the ```text
block after it must be in its output, in their order. "..." stands for anything; ids, times and blanks are not compared.
"""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

PAGES = (
    "docs/tutorial.md",
    "docs/reference/cli.md",
    "docs/tutorial-planner.md",
    "docs/how-to/rebalance.md",
    "docs/how-to/count-licences.md",
    "docs/how-to/snapshots.md",
)
BLOCK = re.compile(r"^```bash\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
CHANGING = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{8}\b|\d{4}-\d\d-\d\d[T ][\d:.+]+|\d{4}-\d\d\b"
)


def blocks(root: Path) -> list[tuple[str, str]]:
    found = [block for page in PAGES for block in BLOCK.findall((root / page).read_text())]
    assert len(found) >= 12, "the pages have lost their commands"
    return found


def script(commands: list[str], folder: Path) -> str:
    """Each block's output, both streams, in a file of its own; a block that fails does not end the shell."""
    parts = [f"{{\n{command}}} > {folder}/{n} 2>&1\n" for n, command in enumerate(commands)]
    return "".join(parts)


def plain(line: str) -> str:
    return " ".join(CHANGING.sub("#", line).split())


def missing(expected: str, output: str) -> list[str]:
    """The expected lines that do not come, each after the one before."""
    lines = [plain(line) for line in output.splitlines()]
    lost, at = [], 0
    for line in expected.splitlines():
        wanted = re.compile(".*".join(re.escape(part.strip()) for part in plain(line).split("...")))
        hit = next(
            (n for n, got in enumerate(lines[at:], at) if wanted.fullmatch(got.replace("\u2026", ""))), None
        )
        if line.strip() in {"", "..."}:
            continue
        if hit is None:
            lost.append(line)
        else:
            at = hit + 1
    return lost


def test_every_command_of_the_tutorial_and_reference_prints_what_they_show(
    tierwise: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    shown = blocks(request.config.rootpath)
    home = tmp_path / "home"
    home.mkdir()
    environment = {**tierwise.environment(), "HOME": str(home)}
    del environment["TIERWISE_DATA_DIR"]
    subprocess.run(
        ["bash", "-c", script([command for command, _ in shown], tmp_path)],
        env=environment,
        cwd=home,
        check=False,
    )
    lies = {
        command: (lost, output)
        for n, (command, expected) in enumerate(shown)
        if (lost := missing(expected, output := (tmp_path / str(n)).read_text())) or "Traceback" in output
    }
    assert not lies, "\n".join(
        f"$ {command}missing: {lost}\n{output}" for command, (lost, output) in lies.items()
    )


def test_a_line_that_is_not_printed_is_found() -> None:
    output = "order     machine\n6f84f650  web-01   EUR 16.70\ntotal: EUR 1.00\n"
    assert missing("order machine\n2cb2c4ad web-01 EUR 16.70\n", output) == []
    assert missing("total: ...\n", output) == []
    assert missing("total: ...\norder machine\n", output) == ["order machine"]
    assert missing("order ... EUR 16.71\n", output) == ["order ... EUR 16.71"]
