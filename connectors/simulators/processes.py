"""Simulators that run in a process of their own, beside the one that started them."""

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches
from typing import Any, Self

from catalog.wording import known_names

STOP_LIMIT_S = 20.0
SHOWN = 13
"""Of how many names the nearest are given to whoever asked for one that there is not: one more than is shown."""


class SimulatorProcess(ABC):
    """A simulator's process; a context manager that ends it. The process also ends when its standard input closes."""

    _process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    @abstractmethod
    def start(self) -> Self:
        """Start, and return when it answers. Raises RuntimeError with what the program said."""

    def wait(self) -> None:
        """Until the process ends, by itself or because somebody ends it; nothing if it does not run."""
        if self._process is not None:
            self._process.wait()

    def stop(self) -> None:
        """End the process; nothing if it does not run."""
        process, self._process = self._process, None
        if process is not None:
            end(process)


def end(process: "subprocess.Popen[Any]") -> None:
    """Let the process end by the end of its input; kill it where it does not."""
    with suppress(OSError, subprocess.TimeoutExpired):
        if process.stdin is not None:
            process.stdin.close()
        process.wait(STOP_LIMIT_S)
    if process.poll() is None:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def must_be_there(what: str, name: str, names: Iterable[str]) -> None:
    """Raises ValueError, with the nearest names, for a `name` that is none of `names`: ``there is no method 'x'; ...``."""
    known = sorted(set(names))
    if name not in known:
        near = get_close_matches(name, known, n=SHOWN, cutoff=0)
        msg = f"there is no {what} '{name}'; {known_names(name, near)}"
        raise ValueError(msg)
