"""docs/dependencies.md has one line for each dependency, and for nothing else."""

import re
import tomllib
from pathlib import Path
from typing import Any

ROW = re.compile(r"^\| `(?P<name>[^`]+)` \| (?P<why>[^|]*) \|", re.MULTILINE)


def normalised(requirement: str) -> str:
    """The name alone, in the one spelling that registries compare."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def required(project: dict[str, Any]) -> set[str]:
    """Everything that pyproject.toml asks for, to build, run, extend or develop."""
    lists = [
        project["build-system"]["requires"],
        project["project"]["dependencies"],
        *project["project"].get("optional-dependencies", {}).values(),
        *project.get("dependency-groups", {}).values(),
    ]
    return {normalised(requirement) for requirements in lists for requirement in requirements}


def rows(page: str) -> dict[str, str]:
    return {row["name"]: row["why"].strip() for row in ROW.finditer(page)}


def differences(wanted: set[str], page: str) -> list[str]:
    found = [normalised(row["name"]) for row in ROW.finditer(page)]
    return [
        *(f"{name} has no line" for name in sorted(wanted - set(found))),
        *(f"{name} is no dependency" for name in sorted(set(found) - wanted)),
        *(f"{name} has {found.count(name)} lines" for name in sorted(set(found)) if found.count(name) > 1),
        *(f"{name} gives no reason" for name, why in rows(page).items() if len(why.split()) < 4),
    ]


def section(page: str, title: str) -> str:
    """The text below a heading, up to the next heading of the same level."""
    level = title.partition(" ")[0]
    start = page.index(f"{title}\n") + len(title)
    end = page.find(f"\n{level} ", start)
    return page[start : end if end > 0 else len(page)]


def test_every_python_dependency_has_its_line_and_nothing_else_has(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())
    page = (repository / "docs/dependencies.md").read_text()
    assert differences(required(project), section(page, "## Python packages")) == []


def test_every_debian_package_has_its_line_and_nothing_else_has(repository: Path) -> None:
    table = tomllib.loads((repository / "tests/counterparts.toml").read_text())
    wanted = {package for entry in table.values() for package in entry["packages"]}
    page = (repository / "docs/dependencies.md").read_text()
    assert differences(wanted, section(page, "## Debian packages")) == []


def test_a_missing_a_superfluous_a_double_and_an_empty_line_are_found() -> None:
    page = "| `a-b` | it does what we need |\n| `old` | was once of some use |\n| `c` |  |\n| `c` | so |\n"
    assert differences({"a-b", "c", "new"}, page) == [
        "new has no line",
        "old is no dependency",
        "c has 2 lines",
        "c gives no reason",
    ]
    assert normalised("Ibis_Framework[duckdb]>=12") == "ibis-framework"
    assert section("# t\n## a\nx\n### b\ny\n## c\nz\n", "## a") == "\nx\n### b\ny"
