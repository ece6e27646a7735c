"""YAML text -> plain values with the place of each, refusing what two readers would read differently.

YAML 1.1 turns ``NO`` into false, ``010`` into 8 and ``22:30`` into 1350; YAML 1.2 does not. Such words
are problems here, with the way to write either meaning. Limits on depth and on the number of values
keep a small text with aliases from becoming a huge tree.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from catalog.problems import Path, Problem, dotted

MAX_DEPTH = 40
MAX_VALUES = 500_000

_TAG = "tag:yaml.org,2002:"
_AMBIGUOUS_BOOLEAN = re.compile(r"yes|no|on|off", re.IGNORECASE)
_PLAIN_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9_]*|0x[0-9a-fA-F]+)")
_MAX_DIGITS = 40
_NOT_PRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class _TooMuch(Exception):
    """The rest of the document is not looked at; the problem that says why is recorded."""


class _Loader(yaml.SafeLoader):
    """PyYAML's own composer with a bound on depth.

    The reader in C is faster, but ends the whole process with a segmentation fault on a text of
    100,000 opening brackets.
    """

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            problem = f"nested deeper than {MAX_DEPTH} levels"
            mark = self.get_mark()
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


@dataclass
class Reading:
    """What came out of one text. `positions` are (line, column) from 1.

    `tree` is None where the text is not YAML at all; otherwise a value that has a problem stands in
    it as its text, so that the rest can be checked too.
    """

    file: str
    tree: Any = None
    positions: dict[Path, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add(self, at: tuple[int, int], path: Path, message: str, value: str = "") -> None:
        """Record a problem at a line and column."""
        self.problems.append(Problem(self.file, *at, dotted(path), value, message))


def read_values(text: str, file: str) -> Reading:
    """Read one text; an empty one gives an empty mapping."""
    reading = Reading(file)
    text = text.removeprefix("\ufeff")
    if found := _NOT_PRINTABLE.search(text):
        before = text[: found.start()]
        at = before.count("\n") + 1, found.start() - before.rfind("\n")
        code = f"U+{ord(found[0]):04X}"
        reading.add(at, (), f"character {code} cannot stand in YAML; is this file text in UTF-8?")
        return reading
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reading.add(_place(mark) if mark else (1, 1), (), f"not readable as YAML: {_syntax(error)}")
        return reading
    if node is None:
        reading.tree, reading.positions = {}, {(): (1, 1)}
        return reading
    try:
        reading.tree = _Builder(reading).build(node, ())
    except _TooMuch:
        reading.tree = None
    return reading


@dataclass
class _Builder:
    reading: Reading
    open_nodes: set[int] = field(default_factory=set)

    def build(self, node: yaml.Node, path: Path, key: yaml.Node | None = None) -> Any:
        """The value of `node`. A collection stands where its key stands, a scalar where it starts."""
        if isinstance(node, yaml.ScalarNode):
            self._position(path, node)
            return self._scalar(node, path)
        self._position(path, key or node)
        if id(node) in self.open_nodes:
            self._stop(node, path, "this alias (*) stands inside what it repeats; remove it")
        if len(path) > MAX_DEPTH:
            self._stop(node, path, f"nested deeper than {MAX_DEPTH} levels")
        self.open_nodes.add(id(node))
        built = self._collection(node, path)
        self.open_nodes.remove(id(node))
        return built

    def _collection(self, node: yaml.Node, path: Path) -> Any:
        is_mapping = isinstance(node, yaml.MappingNode)
        if node.tag != f"{_TAG}{'map' if is_mapping else 'seq'}":
            self._add(node, path, f"the tag {_spelt(node.tag)} is not read; remove it")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        return [self.build(child, (*path, i)) for i, child in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str | int, Any]:
        result: dict[str | int, Any] = {}
        first: dict[str, yaml.Node] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            if key is None:
                continue
            earlier = first.setdefault(str(key), key_node)
            if earlier is not key_node:
                line = earlier.start_mark.line + 1
                what = f"this key stands already in line {line}; remove one of the two"
                self._add(key_node, (*path, key), what)
                continue
            result[key] = self.build(value_node, (*path, key), key_node)
        return result

    def _key(self, node: yaml.Node, path: Path) -> str | int | None:
        if node.tag == f"{_TAG}merge":
            self._add(node, path, "merge keys (<<) are not read; write the fields out")
            return None
        key = self._scalar(node, path) if isinstance(node, yaml.ScalarNode) else None
        if isinstance(key, str) or type(key) is int:
            return key
        self._add(node, path, "a key must be text; put it in quotes", str(node.value)[:40])
        return None

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        text = str(node.value)
        kind = node.tag.removeprefix(_TAG)
        complaint = _complaint(kind, node)
        if complaint:
            self._add(node, path, complaint)
            # Half a surrogate pair is no text to those who check the rest.
            return text.encode(errors="replace").decode()
        if kind == "int":
            return int(text.replace("_", ""), 0)
        if kind == "bool":
            return text.lower() == "true"
        return None if kind == "null" else text

    def _position(self, path: Path, node: yaml.Node) -> None:
        self.reading.positions[path] = _place(node.start_mark)
        if len(self.reading.positions) > MAX_VALUES:
            self._stop(
                node, path, f"more than {MAX_VALUES:,} values; too many aliases (*), or split the file"
            )

    def _add(self, node: yaml.Node, path: Path, message: str, value: str = "") -> None:
        self.reading.add(_place(node.start_mark), path, message, value)

    def _stop(self, node: yaml.Node, path: Path, message: str) -> None:
        self._add(node, path, message)
        raise _TooMuch


def _complaint(kind: str, node: yaml.ScalarNode) -> str:
    """Why a scalar is not read, or ""."""
    text = str(node.value)
    if kind == "bool":
        return _boolean_complaint(text)
    if kind == "int":
        return _integer_complaint(text)
    if kind == "null":
        return "" if text in {"", "~", "null", "Null", "NULL"} else "must be null or nothing"
    if kind in {"str", "float", "timestamp", "value"}:
        found = _CONTROL.search(text)
        return f"must not hold the control character U+{ord(found[0]):04X}" if found else ""
    return f"the tag {_spelt(node.tag)} is not read; remove it"


def _boolean_complaint(text: str) -> str:
    if text.lower() in {"true", "false"}:
        return ""
    if _AMBIGUOUS_BOOLEAN.fullmatch(text):
        meant = "true" if text.lower() in {"yes", "on"} else "false"
        return f'some readers take {text} for {meant}; write "{text}" in quotes for the text, or {meant}'
    return "must be true or false"


def _integer_complaint(text: str) -> str:
    if len(text) > _MAX_DIGITS:
        return f"a number of {len(text)} digits is not read; at most {_MAX_DIGITS} are"
    if _PLAIN_INTEGER.fullmatch(text):
        return ""
    if ":" in text:
        return f'some readers take {text} for a number to base 60; write "{text}" in quotes'
    return f'readers differ on the number {text}; write it in decimal, or "{text}" in quotes for the text'


def _place(mark: yaml.Mark) -> tuple[int, int]:
    return mark.line + 1, mark.column + 1


def _spelt(tag: str) -> str:
    return f"!!{tag.removeprefix(_TAG)}" if tag.startswith(_TAG) else tag


def _syntax(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or error.context or "no YAML is written so"
    if "'\\t'" in problem:
        return "a tab cannot indent; use spaces"
    if "but found another document" in problem:
        return "a second document (---) starts here; put it into a file of its own"
    if problem == "mapping values are not allowed here":
        return "a colon cannot stand here; is a line indented too far, or text with a colon not in quotes?"
    return problem
