"""What is wrong in a document, and where; documents with problems raise all of them together."""

from collections.abc import Iterable
from dataclasses import dataclass

Path = tuple[str | int, ...]
"""Keys and list indexes from the top of a document to one of its values."""


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
    """A document, or a set of documents, has problems; all of them are in `problems`, sorted."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(p) for p in self.problems))

    def __reduce__(self) -> tuple[type["DocumentError"], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


def dotted(path: Path) -> str:
    """The path as people write it: ``pools.fra-prod-1.traits.0``."""
    return ".".join(str(part) for part in path)
