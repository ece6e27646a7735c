"""The text of a what-if document -> its values, or every mistake in it with its line and column.

What the document says by itself is checked here; what it says of the estate and of prices, in `checking`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catalog.base import Value
from catalog.documents import DocumentError, Located, Path, Problem, checked, parse
from catalog.wording import known_names
from tierwise.planner.change import Change
from tierwise.planner.changes import kinds
from tierwise.planner.document import FORMAT, Pool, Rule, Scenario, WhatIf
from tierwise.planner.result import TODAY


@dataclass(frozen=True)
class Loaded:
    """A document and where its parts stand."""

    document: WhatIf
    located: Located

    def problem(self, path: Path, message: str) -> Problem:
        """A problem at a place of the document."""
        return self.located.problem(path, message)


def load(text: str, file: str) -> Loaded:
    """The document of one text. Raises DocumentError with every problem, each with its line and column."""
    located, problems = parse(text, file)
    if located is None:
        raise DocumentError(problems)
    said = {problem.path for problem in problems}
    found: list[Problem] = []
    document = _Reader(located, found).read()
    problems += [problem for problem in found if problem.path not in said]
    if problems or document is None:
        raise DocumentError(problems)
    return Loaded(document, located)


class _Reader:
    """Reads one tree; problems go to the caller's list."""

    def __init__(self, located: Located, problems: list[Problem]) -> None:
        self.located = located
        self.problems = problems

    def read(self) -> WhatIf | None:
        """The document, or None where it has problems."""
        tree = self.located.tree
        if tree.get("format") != FORMAT:
            self._add(("format",), f"must be {FORMAT}")
        head = {
            key: value
            for key, value in tree.items()
            if key not in {"format", "pools", "rules", "scenarios"}
        }
        first = checked(self.located, (), WhatIf, head, self.problems)
        parts: dict[str, Mapping[str, Value]] = {
            "pools": self._section("pools", Pool),
            "rules": self._section("rules", Rule),
            "scenarios": self._scenarios(),
        }
        if "pools" not in tree:
            self._add(("pools",), "is required and missing: each pool of the estate with its tier")
        return None if first is None or self.problems else first.model_copy(update=parts)

    def _add(self, path: Path, message: str) -> None:
        self.problems.append(self.located.problem(path, message))

    def _bodies(self, section: str) -> dict[str, dict[str, Any]]:
        content = self.located.tree.get(section)
        if content is None:
            return {}
        if not isinstance(content, dict):
            self._add((section,), "must be a mapping from name to entry")
            return {}
        for name, body in content.items():
            if not isinstance(body, dict):
                self._add((section, name), "must be a mapping")
        return {str(name): body for name, body in content.items() if isinstance(body, dict)}

    def _section(self, section: str, model: type[Any]) -> dict[str, Any]:
        found = {}
        for name, body in self._bodies(section).items():
            path: Path = (section, name)
            entry = checked(self.located, path, model, {**body, "name": name}, self.problems)
            if entry is not None:
                found[name] = entry
        return found

    def _scenarios(self) -> dict[str, Scenario]:
        found = {}
        for name, body in self._bodies("scenarios").items():
            path: Path = ("scenarios", name)
            if name == TODAY:
                self._add(path, f"'{TODAY}' is what every scenario is compared with; name it otherwise")
            listed = body.get("changes") or []
            if not isinstance(listed, list):
                self._add((*path, "changes"), "must be a list of changes, each with its kind")
                listed = []
            changes = [self._change((*path, "changes", i), one) for i, one in enumerate(listed)]
            rest = {key: value for key, value in body.items() if key != "changes"}
            scenario = checked(self.located, path, Scenario, {**rest, "name": name}, self.problems)
            if scenario is not None:
                kept = tuple(one for one in changes if one is not None)
                found[name] = scenario.model_copy(update={"changes": kept})
        return found

    def _change(self, path: Path, body: object) -> Change | None:
        if not isinstance(body, dict):
            self._add(path, "must be a mapping with the change's kind")
            return None
        kind = str(body.get("kind"))
        if kind not in kinds():
            self._add((*path, "kind"), f"there is no change '{kind}'; {known_names(kind, kinds())}")
            return None
        return checked(self.located, path, kinds()[kind], body, self.problems)
