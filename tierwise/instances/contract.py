"""What a kind of instance takes and gives, and how files are read and written."""

import time
import zipfile
import zlib
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
_SINGLE = b"\x93NUMPY"
_ZIP = b"PK"


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
        with path.open("rb") as file:  # numpy leaves a damaged file open that it opened itself.
            head = file.read(len(_SINGLE))
            if head == _SINGLE:
                msg = f"{path}: is a single array, not a .npz file of named columns; write it with numpy.savez"
                raise InvalidInput(msg)
            if not head.startswith(_ZIP):
                what = "no .npz file" if head else "empty"
                msg = f"{path}: is {what}; write one with numpy.savez, or copy it again"
                raise InvalidInput(msg)
            file.seek(0)
            with np.load(file, allow_pickle=False) as held:
                return {name: held[name] for name in held.files}
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror or error}; check the path and its rights"
        raise InvalidInput(msg) from error
    # What numpy, zlib and zipfile raise by where a file is damaged; NotImplementedError: a compression that zipfile lacks.
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, KeyError, NotImplementedError) as error:
        msg = f"{path}: {_why_not(str(error))}"
        raise InvalidInput(msg) from error


def _why_not(said: str) -> str:
    if "allow_pickle" in said:
        return "has a column of Python objects, which are not read; save it as numbers, with a dtype such as int64"
    return f"is cut off or damaged ({said[:100]}); write or copy it again"


def solve(columns: Columns, effort: Effort, path: Path) -> tuple[str, Solved]:
    """The kind that the columns name, and its answer. Raises InvalidInput."""
    from placement.problem import InvalidProblem  # noqa: PLC0415 - keeps --help quick

    if "kind" not in columns:
        msg = f"{path}: has no column 'kind'; add it, as one of {', '.join(kinds())}"
        raise InvalidInput(msg)
    kind = str(columns["kind"])
    if kind not in kinds():
        msg = f"{path}: kind '{kind}' is not one that can be solved; make it one of {', '.join(kinds())}"
        raise InvalidInput(msg)
    module = cast("Kind", import_module(f"tierwise.instances.{kind}"))
    try:
        return kind, module.solve(columns, effort)
    except InvalidProblem as error:
        msg = f"{path}: {error}"
        raise InvalidInput(msg) from error
