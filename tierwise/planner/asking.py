"""Many scenarios of one prepared estate at once: on several processes or a cluster, the same answers in the same order."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from placement.plan import Limits
from tierwise.errors import InvalidInput
from tierwise.planner.change import Change
from tierwise.planner.document import Scenario
from tierwise.planner.prepare import Prepared
from tierwise.planner.result import ScenarioResult, WhatIfResult
from tierwise.planner.run import assembled, solve_scenario, solve_today
from tierwise.planner.sweeps import Kept, Result, Task, Told, sweep


class Variant(NamedTuple):
    """A scenario in a world that is different already: where power costs more, or the estate has grown.

    `knobs` change today as well, so that the scenario is compared with what today would be then. A
    `scenario` of None asks about that today alone.
    """

    name: str
    scenario: Scenario | None
    knobs: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Workers:
    """Who does the work, and where results are kept; by default this process, and nowhere."""

    jobs: int = 1
    cluster: str = ""
    kept: Kept | None = None
    tell: Told | None = None


@dataclass(frozen=True)
class Answer:
    """What came of a variant: `today` under its knobs, and the scenario against it, or why there is none."""

    name: str
    today: ScenarioResult | None
    result: ScenarioResult | None
    error: str = ""
    kept: bool = False

    @property
    def saving_micros(self) -> int | None:
        """What the scenario costs less than today over the horizon; None where it was not answered."""
        if self.today is None or self.result is None:
            return None
        return self.today.cost_micros - self.result.cost_micros


def ask(
    prepared: Prepared, variants: Sequence[Variant], limits: Limits, workers: Workers | None = None
) -> list[Answer]:
    """Answer every variant; one that cannot be answered says why, and the others are answered all the same."""
    workers = workers or Workers()
    base = _fingerprint(prepared, limits) if workers.kept else ""
    tasks = [Task(one.name, base + _key(one), one) for one in variants]
    done = sweep(
        tasks,
        partial(_solved, prepared, limits),
        jobs=workers.jobs,
        cluster=workers.cluster,
        kept=workers.kept,
        tell=workers.tell,
    )
    return [
        Answer(
            one.name,
            _read(one.result, "today"),
            _read(one.result, "result"),
            error=one.error,
            kept=one.kept,
        )
        for one in done
    ]


def answered(
    prepared: Prepared, names: Sequence[str] | None, limits: Limits, workers: Workers
) -> WhatIfResult:
    """Today and the document's scenarios, or those of `names`; what could not be answered is told in the notes.

    Raises InvalidInput where none could be.
    """
    wanted = list(prepared.document.scenarios) if names is None else list(names)
    variants = [Variant(name, prepared.scenario(name)) for name in wanted]
    answers = ask(prepared, variants, limits, workers)
    failed = [f"scenario {one.name} was not answered: {one.error}" for one in answers if one.error]
    if failed and len(failed) == len(answers):
        msg = "no scenario could be answered"
        raise InvalidInput(msg, details=failed)
    todays = [one.today for one in answers if one.today is not None]
    today = todays[0] if todays else solve_today(prepared, limits)
    found = assembled(prepared, today, [one.result for one in answers if one.result is not None])
    return found.model_copy(update={"notes": (*found.notes, *failed)})


def turned(prepared: Prepared, knobs: tuple[Change, ...]) -> Prepared:
    """The same estate in a world in which these changes have happened already."""
    return replace(prepared, world=prepared.changed(knobs)) if knobs else prepared


def _solved(prepared: Prepared, limits: Limits, variant: Variant) -> Result:
    there = turned(prepared, variant.knobs)
    today = solve_today(there, limits)
    found: Result = {"today": today.model_dump(mode="json")}
    if variant.scenario is not None:
        result = solve_scenario(there, variant.scenario, limits, today)
        found["result"] = result.model_dump(mode="json")
    return found


def _read(result: Result | None, part: str) -> ScenarioResult | None:
    said = (result or {}).get(part)
    return None if said is None else ScenarioResult.model_validate(said)


def _fingerprint(prepared: Prepared, limits: Limits) -> str:
    """The same for the same estate, documents and limits, in any process."""
    from joblib import hash as content_hash  # noqa: PLC0415 - only kept sweeps need it

    return f"{content_hash(prepared)} {limits.model_dump_json()} "


def _key(variant: Variant) -> str:
    scenario = "today" if variant.scenario is None else variant.scenario.model_dump_json()
    return " ".join((scenario, *(one.model_dump_json() for one in variant.knobs)))
