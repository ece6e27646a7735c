import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def tracked(repository: Path) -> list[Path]:
    """Every file that is in the repository or would be added to it, as a path from its root."""
    if not (repository / ".git").exists():
        pytest.skip("this is no git checkout, so what is tracked is not known")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True).stdout
    paths = [Path(name) for name in listed.split("\0") if name]
    return [path for path in paths if (repository / path).is_file()]


@pytest.fixture(scope="session")
def texts(repository: Path, tracked: list[Path]) -> dict[Path, str]:
    """The text of every tracked file that is text."""
    found = {}
    for path in tracked:
        content = (repository / path).read_bytes()
        if b"\0" not in content:
            found[path] = content.decode("utf-8", errors="replace")
    return found


@pytest.fixture(scope="session")
def sources(texts: dict[Path, str]) -> dict[Path, str]:
    """The text of every tracked Python file."""
    return {path: text for path, text in texts.items() if path.suffix == ".py"}
