"""YAML text -> checked entries, and every problem with file, line, column, value and expectation.

The same reader serves the catalog, rule documents and rate cards: a document is a mapping of
sections, and a section is a mapping from name to entry::

    tiers:
      tier-1: {rank: 1, title: Production, purpose: ...}

Values keep their YAML types, except that numbers with a fraction arrive as `str`, so that no price
ever passes through a binary float; a key that stands twice is a problem, never a silent overwrite.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from catalog.base import Value

Path = tuple[str | int, ...]
V = TypeVar("V", bound=Value)

_MAX_DEPTH = 40
_ANY = object()


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a document, in a form that an editor can jump to. Line and column start at 1."""

    file: str
    line: int
    column: int
    path: str
    value: str
    message: str

    def __str__(self) -> str:
        got = f" (found {self.value})" if self.value else ""
        at = f"{self.path}: " if self.path else ""
        return f"{self.file}:{self.line}:{self.column}: {at}{self.message}{got}"


class DocumentError(ValueError):
    """A document, or a set of documents, has problems; all of them are in `problems`."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(p) for p in self.problems))


@dataclass(frozen=True)
class Located:
    """A plain value tree of one document, and where each of its paths stands in the file."""

    file: str
    tree: Any
    positions: Mapping[Path, tuple[int, int]]

    def problem(self, path: Path, message: str, value: object = _ANY) -> Problem:
        """A problem at `path`, or at the nearest place above it that is written in the file."""
        known = path
        while known and known not in self.positions:
            known = known[:-1]
        line, column = self.positions.get(known, (1, 1))
        shown = "" if value is _ANY else _shown(value)
        return Problem(self.file, line, column, _dotted(path), shown, message)


@dataclass
class _Builder:
    file: str
    positions: dict[Path, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def build(self, node: yaml.Node, path: Path) -> Any:
        self.positions[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        if len(path) > _MAX_DEPTH:
            self._add(node, path, f"nested deeper than {_MAX_DEPTH} levels")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*path, i)) for i, child in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = self._scalar(key_node, path) if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str | int) or not isinstance(key, Hashable):
                self._add(key_node, path, "a key must be plain text")
                continue
            if key in result:
                self._add(key_node, (*path, key), "this key stands twice; remove one of the two")
                continue
            result[key] = self.build(value_node, (*path, key))
        return result

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        if node.tag == "tag:yaml.org,2002:float":
            return str(node.value)
        if node.tag == "tag:yaml.org,2002:timestamp":
            return str(node.value)
        try:
            return yaml.SafeLoader("").construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            what = getattr(error, "problem", None) or error
            self._add(node, path, f"this value cannot be read: {what}")
            return None

    def _add(self, node: yaml.Node, path: Path, message: str) -> None:
        mark = node.start_mark
        self.problems.append(Problem(self.file, mark.line + 1, mark.column + 1, _dotted(path), "", message))


def read(text: str, file: str) -> Located:
    """Parse one YAML text. Raises DocumentError where it is not YAML or not a mapping."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = error.problem or error.context or "it is not YAML"
        raise DocumentError(
            [Problem(file, line, column, "", "", f"not readable as YAML: {what}")]
        ) from None
    except yaml.YAMLError as error:
        first_line = str(error).splitlines()[0]
        raise DocumentError([Problem(file, 1, 1, "", "", f"not readable as YAML: {first_line}")]) from None
    except RecursionError:
        raise DocumentError([Problem(file, 1, 1, "", "", "nested too deeply to read")]) from None
    if node is None:
        return Located(file, {}, {(): (1, 1)})
    builder = _Builder(file)
    try:
        tree = builder.build(node, ())
    except RecursionError:
        raise DocumentError([Problem(file, 1, 1, "", "", "an anchor contains itself")]) from None
    if not isinstance(tree, dict):
        builder.problems.append(Problem(file, 1, 1, "", _shown(tree), "must be a mapping of sections"))
    if builder.problems:
        raise DocumentError(builder.problems)
    return Located(file, tree, builder.positions)


def entries(
    document: Located, section: str, model: type[V], problems: list[Problem]
) -> dict[str, tuple[V, Path]]:
    """The valid entries of one section, each with its path; what is wrong goes into `problems`.

    Each entry of the section is a mapping without its name; the key is passed as ``name``.
    """
    found: dict[str, tuple[V, Path]] = {}
    content = document.tree.get(section)
    if content is None:
        return found
    if not isinstance(content, dict):
        problems.append(document.problem((section,), "must be a mapping from name to entry", content))
        return found
    for name, body in content.items():
        path: Path = (section, name)
        if not isinstance(body, dict):
            problems.append(document.problem(path, "must be a mapping", body))
            continue
        entry = checked(document, path, model, {"name": name, **body}, problems)
        if entry is not None:
            found[str(name)] = (entry, path)
    return found


def checked(
    document: Located, path: Path, model: type[V], body: object, problems: list[Problem]
) -> V | None:
    """`body` as a `model`, or None with every problem of it added to `problems`."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            at = (*path, *(part for part in detail["loc"] if part != "[key]"))
            problems.append(document.problem(at, _message(detail), _value(detail)))
        return None


def unknown_sections(document: Located, known: Iterable[str]) -> list[Problem]:
    """A problem for each section of the document that nobody reads."""
    names = sorted(known)
    return [
        document.problem((key,), f"unknown section; known are {', '.join(names)}", key)
        for key in document.tree
        if key not in names
    ]


def _message(detail: Any) -> str:
    kind, message = detail["type"], str(detail["msg"])
    if kind == "missing":
        return "is required and missing"
    if kind == "extra_forbidden":
        return "unknown field; check its spelling"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _value(detail: Any) -> object:
    return _ANY if detail["type"] in {"missing", "value_error"} else detail["input"]


def _dotted(path: Path) -> str:
    return ".".join(str(part) for part in path)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
