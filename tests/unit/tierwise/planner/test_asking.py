"""Scenarios answered by several processes are the same answers; what was kept is found again by any process."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from placement.plan import Limits
from tierwise.errors import InvalidInput
from tierwise.planner.asking import Variant, Workers, answered, ask
from tierwise.planner.changes.price import Price
from tierwise.planner.prepare import Prepared
from tierwise.planner.run import run
from tierwise.planner.sweeps import Kept

Asked = Callable[..., Prepared]
SCENARIOS = """\
scenarios:
  rearranged: {changes: []}
  leave: {changes: [{kind: hypervisor_retired, hypervisor: vsphere}]}
  dearer: {changes: [{kind: licence, product: suite, percent: 50}]}
"""
HASHED = """\
from joblib import hash
from chargeback.economics.document import load_economics
from tierwise.planner.inputs import Inputs
from tierwise.planner.prepare import prepare
from tierwise.planner.reading import load
from tierwise.testing.two_pools import DOCUMENT, ECONOMICS, two_pools

inputs = Inputs(two_pools(), load_economics(ECONOMICS, "economics.yaml"))
print(hash(prepare(load(DOCUMENT, "whatif.yaml"), inputs)))
"""


def test_two_processes_answer_as_one(asked: Asked) -> None:
    prepared = asked(SCENARIOS)
    alone = run(prepared, limits=Limits())
    assert answered(prepared, None, Limits(), Workers()) == alone
    assert answered(prepared, None, Limits(), Workers(jobs=2)) == alone


def test_a_cluster_answers_as_one_process(asked: Asked) -> None:
    distributed = pytest.importorskip("distributed")
    prepared = asked(SCENARIOS)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        found = answered(prepared, None, Limits(), Workers(cluster=cluster.scheduler_address))
    assert found == run(prepared, limits=Limits())


def test_knobs_turn_today_too(asked: Asked) -> None:
    prepared = asked(SCENARIOS)
    more = Price(kind="price", term="maintenance", percent=50)
    plain, dear = ask(prepared, [Variant("plain", None), Variant("dear", None, (more,))], Limits())
    assert plain.today is not None
    assert dear.today is not None
    assert dear.today.terms["maintenance"] * 2 == plain.today.terms["maintenance"] * 3
    assert dear.today.terms["licences"] == plain.today.terms["licences"]
    assert dear.result is dear.saving_micros is None


def test_what_was_kept_is_not_solved_again_unless_something_else_is_asked(
    asked: Asked, tmp_path: Path
) -> None:
    workers = Workers(kept=Kept(tmp_path))
    wanted = [Variant("leave", asked(SCENARIOS).scenario("leave"))]
    (first,) = ask(asked(SCENARIOS), wanted, Limits(), workers)
    (again,) = ask(asked(SCENARIOS), wanted, Limits(), workers)
    assert (first.kept, again.kept) == (False, True)
    assert (again.today, again.result) == (first.today, first.result)
    (others,) = ask(asked(SCENARIOS), wanted, Limits(seed=1), workers)
    cheaper = asked(SCENARIOS, economics=_economics().replace("6000", "5000"))
    (changed,) = ask(cheaper, wanted, Limits(), workers)
    assert (others.kept, changed.kept) == (False, False)


def _economics() -> str:
    from tierwise.testing.two_pools import ECONOMICS

    return ECONOMICS


def test_any_process_knows_the_same_estate_again() -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", HASHED],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def test_one_scenario_that_fails_is_told_and_the_others_are_answered(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tierwise.planner import asking

    real = asking.solve_scenario

    def solve(prepared: Prepared, scenario: object, *rest: object) -> object:
        if getattr(scenario, "name", "") == "dearer":
            message = "disk full"
            raise OSError(message)
        return real(prepared, scenario, *rest)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(asking, "solve_scenario", solve)
    found = answered(asked(SCENARIOS), None, Limits(), Workers())
    assert [one.name for one in found.scenarios] == ["rearranged", "leave"]
    assert found.notes[-1] == "scenario dearer was not answered: OSError: disk full"
    with pytest.raises(InvalidInput, match="no scenario could be answered") as caught:
        answered(asked(SCENARIOS), ["dearer"], Limits(), Workers())
    assert caught.value.details == ("scenario dearer was not answered: OSError: disk full",)
