"""No tracked file names one machine or a registry's host, is a heap of code, or a heap of data."""

import re
from pathlib import Path

# Written with brackets so that this file does not find itself.
MACHINE = re.compile(r"(?<![\w.~}$-])/(wor[k]|roo[t]|far[m]|hom[e]/[a-z]+|User[s]/[a-z]+)/")
REGISTRY = re.compile(
    r"py[p]i[.]org|files[.]pythonhoste[d]|registry[.]npmj[s]|(deb|security)[.]debi[a]n|proxy[.]golan[g]"
)
MOST_LINES = 600
MOST_BYTES = 1_000_000


def findings(pattern: re.Pattern[str], texts: dict[Path, str]) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()[:120]}"
        for path, text in texts.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


def test_no_tracked_file_names_a_path_of_one_machine(texts: dict[Path, str]) -> None:
    assert findings(MACHINE, texts) == []


def test_no_tracked_file_names_the_host_of_a_registry(texts: dict[Path, str]) -> None:
    assert findings(REGISTRY, texts) == []


def test_machine_paths_and_registry_hosts_are_found() -> None:
    top, registry = "home", "pypi"  # joined below, so that this file is not found itself
    planted = {Path("a.md"): f"fine\nsee /{top}/kim/x\n", Path("b.toml"): f"url = {registry}.org/simple\n"}
    assert findings(MACHINE, planted) == [f"a.md:2: see /{top}/kim/x"]
    assert findings(REGISTRY, planted) == [f"b.toml:1: url = {registry}.org/simple"]


def test_no_python_file_is_longer_than_600_lines(sources: dict[Path, str]) -> None:
    assert too_long(sources) == []


def too_long(sources: dict[Path, str]) -> list[str]:
    counted = {path: len(text.splitlines()) for path, text in sources.items()}
    return [
        f"{path} has {lines} lines: where do its words change?"
        for path, lines in counted.items()
        if lines > MOST_LINES
    ]


def test_a_file_of_601_lines_is_found() -> None:
    planted = {Path("long.py"): "x\n" * 601, Path("short.py"): "x\n" * 600}
    assert too_long(planted) == ["long.py has 601 lines: where do its words change?"]


def test_no_tracked_file_is_a_heap_of_data(repository: Path, tracked: list[Path]) -> None:
    assert [path for path in tracked if (repository / path).stat().st_size > MOST_BYTES] == []


def test_every_package_tells_type_checkers_that_it_is_typed(
    repository: Path, sources: dict[Path, str]
) -> None:
    packages = {
        path.parts[0] for path in sources if path.name == "__init__.py" and path.parts[0] != "tests"
    }
    assert {"catalog", "policies", "placement", "connectors", "chargeback", "tierwise"} == packages
    assert [name for name in sorted(packages) if not (repository / name / "py.typed").is_file()] == []
