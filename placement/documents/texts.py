"""JSON text -> plain values, with everything that JSON readers silently let through told instead."""

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

from catalog.documents import Located
from catalog.problems import Path, Problem
from catalog.wording import shown
from placement.problem import InvalidProblem

_NOTHING = object()


class InvalidDocument(InvalidProblem):
    """A document that is no placement problem; everything that was found is in `problems`, each with its path."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(self.problems))


class Tree(Located):
    """A document whose problems say their place as programmers do: ``pools[0].hosts[2].id``."""

    def problem(self, path: Path, message: str, value: object = _NOTHING) -> Problem:
        """The problem at exactly this path."""
        said = super().problem(path, message, *(() if value is _NOTHING else (value,)))
        found = str(value) if isinstance(value, Decimal) else said.value
        return replace(said, path=bracketed(path), value=found)


def bracketed(path: Path) -> str:
    """``pools[0].hosts[2].inventories.vcpu.total``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def told(problem: Problem) -> str:
    """A problem in one line: path, what must be, what is there."""
    got = f" (found {problem.value})" if problem.value else ""
    return f"{problem.path or 'document'}: {problem.message}{got}"


class _Twice(dict[str, Any]):
    """An object of which a key stands twice."""

    key: str


def parsed(text: bytes) -> dict[str, Any]:
    """The object that a JSON text is. Raises InvalidDocument."""
    doubled: list[str] = []

    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) == len(pairs):
            return found
        twice = _Twice(found)
        names = [name for name, _ in pairs]
        twice.key = next(name for name in names if names.count(name) > 1)
        doubled.append(twice.key)
        return twice

    try:
        tree = json.loads(text, parse_float=Decimal, parse_constant=_not_finite, object_pairs_hook=made)
    except UnicodeDecodeError as error:
        msg = f"document: not UTF-8 text (byte {error.start}); save it as UTF-8"
        raise InvalidDocument([msg]) from None
    except json.JSONDecodeError as error:
        msg = f"document: line {error.lineno}, column {error.colno}: not JSON: {error.msg[0].lower()}{error.msg[1:]}"
        raise InvalidDocument([msg]) from None
    except RecursionError:
        msg = "document: brackets are nested too deep for any problem; look for a missing closing one"
        raise InvalidDocument([msg]) from None
    except ValueError:
        msg = "document: a number has thousands of digits; write one that fits into 62 bits"
        raise InvalidDocument([msg]) from None
    if doubled:
        raise InvalidDocument([f"{bracketed(path)}: stands twice; keep one" for path in _twice(tree)])
    if not isinstance(tree, dict):
        msg = f"document: must be an object {{...}}, not {shown(tree)}"
        raise InvalidDocument([msg])
    return tree


def _not_finite(name: str) -> Decimal:
    return Decimal(name)


def _twice(tree: Any, path: Path = ()) -> Iterator[Path]:
    if isinstance(tree, _Twice):
        yield (*path, tree.key)
    if isinstance(tree, dict):
        for key, part in tree.items():
            yield from _twice(part, (*path, key))
    elif isinstance(tree, list):
        for n, part in enumerate(tree):
            yield from _twice(part, (*path, n))
