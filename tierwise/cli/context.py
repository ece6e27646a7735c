"""What every command starts from."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tierwise.cli.output import stderr

if TYPE_CHECKING:
    from tierwise.app import App
    from tierwise.settings import Settings


@dataclass(frozen=True)
class Context:
    """The command line's global options."""

    data_dir: Path | None

    def settings(self) -> "Settings":
        """Settings of the environment, with the command line's on top."""
        from tierwise.settings import Settings  # noqa: PLC0415 - keeps --help quick

        return Settings() if self.data_dir is None else Settings(data_dir=self.data_dir)

    @contextmanager
    def app(self) -> "Iterator[App]":
        """The application for reading."""
        from tierwise.app import wire  # noqa: PLC0415 - keeps --help quick

        wired = wire(self.settings())
        try:
            yield wired
        finally:
            wired.close()

    @contextmanager
    def working(self) -> "Iterator[App]":
        """The application with its durable engine running, for everything that changes machines."""
        from tierwise.jobs.runtime import running  # noqa: PLC0415 - keeps --help quick

        with self.app() as wired, running(wired):
            yield wired


@contextmanager
def progress(what: str) -> "Iterator[Reporter]":
    """A progress bar on stderr; on a pipe only its last state is written."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=stderr(),
        transient=False,
    ) as bar:
        task = bar.add_task(what, total=None)
        yield Reporter(bar, task)


@dataclass(frozen=True)
class Reporter:
    """Called with (done, all)."""

    bar: Progress
    task: "int"

    def __call__(self, done: int, total: int) -> None:
        """Show the present state."""
        from rich.progress import TaskID  # noqa: PLC0415 - a type only

        self.bar.update(TaskID(self.task), completed=done, total=total)
