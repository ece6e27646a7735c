"""The options of commands that ask many scenarios: how much, by whom, where answers are kept, and where the result goes.

A command takes a `Work` in place of six options of its own; `asking` gives it these options.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierwise.cli.output import Format, Output
from tierwise.cli.reports import check_target
from tierwise.cli.whatif_documents import Cluster, Jobs, Keep, Seconds, workers

if TYPE_CHECKING:
    from placement.plan import Limits
    from tierwise.planner.asking import Workers

To = Annotated[Path | None, typer.Option("--to", help="Write it to this file: .html, .pdf, .xlsx or .csv.")]


@dataclass(frozen=True)
class Work:
    """What the options say."""

    to: Path | None
    effort: float
    jobs: int
    cluster: str
    keep: Path | None
    output: Format

    @property
    def limits(self) -> "Limits":
        """How much is thought about each scenario."""
        return limits_of(self.effort)

    def workers(self, what: str) -> AbstractContextManager["Workers"]:
        """Who answers, with a progress bar that says what is done."""
        return workers(self.jobs, self.cluster, self.keep, what)


_OPTIONS: dict[str, tuple[Any, Any]] = {
    "to": (To, None),
    "effort": (Seconds, 5.0),
    "jobs": (Jobs, 1),
    "cluster": (Cluster, ""),
    "keep": (Keep, None),
    "output": (Output, Format.TABLE),
}
"""In the order in which help lists them."""


def limits_of(effort: float) -> "Limits":
    """How much is thought about each scenario."""
    from placement.plan import Limits

    return Limits(deterministic_time=effort)


def asking(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options in place of its last parameter, `work`. What --to cannot write is refused at once."""
    own = dict(signature(command).parameters)
    own.pop("work")

    @wraps(command)
    def asked(**given: Any) -> None:
        work = Work(**{name: given.pop(name) for name in _OPTIONS})
        check_target(work.to)
        command(**given, work=work)

    more = {
        name: Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=option)
        for name, (option, default) in _OPTIONS.items()
    }
    parameters = [*own.values(), *more.values()]
    asked.__signature__ = signature(command).replace(parameters=parameters)  # type: ignore[attr-defined] # what typer looks at
    asked.__annotations__ = {one.name: one.annotation for one in parameters} | {"return": None}
    return asked
