"""What a kind of instance takes and gives, and how files are read and written."""

import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from tierwise.errors import InvalidInput

Columns = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Effort:
    """What a solve may spend."""

    time_limit_s: float
    seed: int
    begin_s: float
    """When the limit began to count, as `time.monotonic` tells it."""

    @property
    def left_s(self) -> float:
        """What reading files and loading solvers left of the limit; never nothing."""
        return max(0.1, self.begin_s + self.time_limit_s - time.monotonic())


@dataclass(frozen=True, eq=False)
class Solved:
    """An answer in the file's own units; `assignment` is -1 where a request or machine has no place."""

    assignment: npt.NDArray[np.int64]
    objective: int
    unplaced: int
    bound: int


class Kind(Protocol):
    """A module that solves one kind of instance."""

    def solve(self, columns: Columns, effort: Effort) -> Solved:
        """Raises placement.problem.InvalidProblem, whose message starts with the wrong column."""
        ...


def kinds() -> tuple[str, ...]:
    """The names of all kinds, in alphabetical order."""
    package = import_module("tierwise.instances")
    found = (module.name for module in iter_modules(package.__path__))
    return tuple(sorted(name for name in found if name != "contract"))


def read(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The columns of a .npz file. Raises InvalidInput; nothing in the file is run as code."""
    try:
        with np.load(path, allow_pickle=False) as held:
            if not isinstance(held, np.lib.npyio.NpzFile):
                msg = f"{path}: a single array, not a .npz file of named columns"
                raise InvalidInput(msg)
            return {name: held[name] for name in held.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        msg = f"{path}: cannot be read as a .npz file: {error}"
        raise InvalidInput(msg) from error


def solve(columns: Columns, effort: Effort, path: Path) -> tuple[str, Solved]:
    """The kind that the columns name, and its answer. Raises InvalidInput."""
    from placement.problem import InvalidProblem  # noqa: PLC0415 - keeps --help quick

    if "kind" not in columns:
        msg = f"{path}: has no column 'kind'; known kinds are {', '.join(kinds())}"
        raise InvalidInput(msg)
    kind = str(columns["kind"])
    if kind not in kinds():
        msg = f"{path}: kind '{kind}' is not one that can be solved; known kinds are {', '.join(kinds())}"
        raise InvalidInput(msg)
    module = cast("Kind", import_module(f"tierwise.instances.{kind}"))
    try:
        return kind, module.solve(columns, effort)
    except InvalidProblem as error:
        msg = f"{path}: {error}"
        raise InvalidInput(msg) from error
