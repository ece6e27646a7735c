"""What every command starts from."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tierwise.cli.output import note, stderr

if TYPE_CHECKING:
    from pydantic import ValidationError
    from rich.progress import Progress

    from catalog.estates import Estate
    from tierwise.app import App
    from tierwise.errors import InvalidInput
    from tierwise.settings import Settings


@dataclass(frozen=True)
class Context:
    """The command line's global options."""

    data_dir: Path | None

    def settings(self) -> "Settings":
        """Settings of the environment, with the command line's on top."""
        from pydantic import ValidationError

        from tierwise.settings import Settings

        try:
            return Settings() if self.data_dir is None else Settings(data_dir=self.data_dir)
        except ValidationError as error:
            raise _wrong_settings(error) from None

    def folder(self) -> Path | None:
        """The data directory, or None where the settings do not even say which."""
        from tierwise.errors import InvalidInput

        try:
            return self.settings().data_dir
        except InvalidInput:
            return None

    def read_estate(self, file: Path) -> "Estate":
        """The estate of an export, kept between runs where the settings want it. Raises InvalidInput."""
        from tierwise.estates.kept import KeptEstates

        settings = self.settings()
        kept = KeptEstates(settings.kept_estates_dir, settings.kept_estates_mib * 2**20, note)
        return kept.read(file)

    @contextmanager
    def app(self) -> "Iterator[App]":
        """The application for reading."""
        from tierwise.app import wire

        wired = wire(self.settings())
        try:
            yield wired
        finally:
            wired.close()

    @contextmanager
    def working(self) -> "Iterator[App]":
        """The application with its durable engine running, for everything that changes machines.

        Ctrl-C ends the process at once: a tidy end would wait for every hypervisor that is at work,
        and what is accepted survives any kill.
        """
        from tierwise.jobs.runtime import running

        with self.app() as wired, running(wired) as runtime:
            try:
                yield wired
            except KeyboardInterrupt:
                say_stopped()
                os._exit(INTERRUPTED)
            finally:
                for line in runtime.cut_off:
                    note(line)


INTERRUPTED = 130
"""What shells give a command that Ctrl-C ended."""


def say_stopped() -> None:
    """What Ctrl-C leaves behind, in words."""
    note("stopped; what was accepted is finished by the next `tierwise order resume`")


def _wrong_settings(error: "ValidationError") -> "InvalidInput":
    from catalog.wording import expectation
    from tierwise.errors import InvalidInput

    details = [
        f"TIERWISE_{str(found['loc'][0]).upper()} {expectation(dict(found), ())} (found {found['input']!r})"
        for found in error.errors()
    ]
    return InvalidInput("the environment has settings that are not valid", details=details)


@contextmanager
def progress(what: str) -> "Iterator[Reporter]":
    """A progress bar on stderr while it lasts; on a pipe there is none."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = stderr()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(what, total=None)
        yield Reporter(bar, task)


@dataclass(frozen=True)
class Reporter:
    """Called with (done, all)."""

    bar: "Progress"
    task: "int"

    def __call__(self, done: int, total: int) -> None:
        """Show the present state."""
        from rich.progress import TaskID

        self.bar.update(TaskID(self.task), completed=done, total=total)
