"""What is said where machines have no place, and whether a plan packs onto hosts: worked out by hand."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from placement.arrays import Int64
from placement.licensing.products import Alternative
from placement.planning import helping
from placement.planning.explain import ha_verdict
from placement.planning.host_check import packed
from placement.planning.plan import HOURS_PER_MONTH, MICROS
from placement.planning.problem import Blocks, Groups, PlanningProblem, Pools
from placement.planning.seating import Seating
from placement.planning.solve import solve
from tierwise.testing.tiny_planning import least, lifted, random_problem, ruled


def estate(
    machines: int, *, demand: int = 4, allowed: tuple[bool, bool] = (True, True), **more: Any
) -> PlanningProblem:
    """Equal machines; pool a has up to three hosts of ten and may lose one, pool b has one of six and loses none."""
    ints = lambda *values: np.array(values, dtype=np.int64)  # noqa: E731 - one word for all the arrays below
    return PlanningProblem(
        resource_classes=("vcpu",),
        groups=Groups(
            ids=("web",),
            count=ints(machines),
            demand=ints([demand]),
            current=ints(0),
            allowed=np.array([allowed]),
        ),
        pools=Pools(ids=("a", "b"), tier_of=("t1", "t2"), losses=ints(1, 0), shared=ints([0], [0])),
        blocks=Blocks(
            ids=("a0", "b0"),
            pool_of=ints(0, 1),
            existing=ints(1, 1),
            most=ints(3, 1),
            capacity=ints([10], [6]),
            largest=ints([10], [3]),
            kept_costs={"power": ints(5, 1)},
        ),
        **more,
    )


def test_what_lacks_where_rules_allow_it_is_told_in_numbers() -> None:
    plan = solve(estate(6))  # 5 of 4 on 20 that remain of 30; pool b has no host that is large enough
    (one,) = plan.impossible
    assert (one.group, one.machines) == ("web", 1)
    assert [(reason.rule_id, reason.pool, reason.limit, reason.need) for reason in one.reasons] == [
        ("room", "a", "0", "4"),
        ("largest", "b", "3", "4"),
    ]


def test_without_any_fact_of_a_conflict_there_is_a_place() -> None:
    problem = estate(6)
    (one,) = solve(problem).impossible
    assert [words.split(":")[0] for words in one.conflict] == ["size", "failures", "hosts"]
    for more in (
        replace(problem, pools=replace(problem.pools, losses=np.zeros(2, dtype=np.int64))),
        replace(problem, blocks=replace(problem.blocks, largest=problem.blocks.largest + 1)),
        replace(problem, blocks=replace(problem.blocks, most=problem.blocks.most + 1)),
    ):
        assert not solve(more).unplaced.any()


def test_a_pool_that_could_not_have_as_many_hosts_as_it_needs_is_told_so() -> None:
    problem = estate(1, allowed=(True, False))
    problem = replace(
        problem, pools=replace(problem.pools, least_hosts=np.array([5, 1]), losses=np.array([0, 0]))
    )
    (one,) = solve(problem).impossible
    assert [(reason.rule_id, reason.limit, reason.need) for reason in one.reasons[:1]] == [
        ("least-hosts", "3", "5")
    ]
    assert [words.split(":")[0] for words in one.conflict] == ["rules", "least", "hosts"]
    assert one.would_help.startswith("5 more hosts of 'a0'")


def test_room_on_hosts_that_are_too_small_for_a_machine_is_none_for_it() -> None:
    """Pool b has a host of twenty beside its one of six; three machines of eight fit on the large one, and two have room."""
    problem = estate(3, demand=8, allowed=(False, True))
    blocks = replace(
        problem.blocks,
        ids=("a0", "b0", "b1"),
        pool_of=np.array([0, 1, 1]),
        existing=np.array([1, 1, 1]),
        most=np.array([3, 4, 1]),
        capacity=np.array([[10], [6], [20]]),
        largest=np.array([[10], [6], [20]]),
        kept_costs={"power": np.array([5, 1, 1])},
    )
    (one,) = solve(replace(problem, blocks=blocks)).impossible
    reason = one.reasons[-1]
    assert (one.machines, reason.pool, reason.limit, reason.need) == (1, "b", "4", "8")
    assert "4 is free with all hosts that it could have and that are large enough" in reason.why
    assert [words.split(" of ")[0] for words in one.conflict[1:]] == [
        "size: not every host",
        "hosts: pool 'b' cannot have more than 5",
    ]


def test_rules_come_before_room() -> None:
    (one,) = solve(estate(6, allowed=(False, False))).impossible
    assert one.machines == 6
    assert {reason.rule_id for reason in one.reasons} == {"allowed"}
    assert all(words.startswith("rules:") for words in one.conflict)


def test_the_verdict_on_failures_names_what_is_tightest() -> None:
    problem = estate(5)
    plan = solve(problem)
    assert plan.hosts.tolist() == [3, 0]
    assert ha_verdict(problem, plan.headroom) == {"a": "yes: 0 of 20 vcpu left with 1 host lost"}


def test_a_plan_that_packs_is_told_so() -> None:
    problem = estate(5, demand=6)  # 5 of 6 are 30, and 20 remain: three have a place, one on each host
    plan = solve(problem)
    assert int(plan.unplaced.sum()) == 2
    assert [str(one) for one in packed(problem, plan)] == ["pool 'a' packs onto its 3 hosts"]


def test_how_many_hosts_more_it_takes_to_pack_is_told() -> None:
    problem = estate(3, demand=6)  # 3 of 6 are 18 of 20 that remain
    plan = solve(problem)
    assert not plan.unplaced.any()
    (one,) = packed(problem, plan)
    assert one.left_out == 0
    fewer = type(plan)(**{**plan.__dict__, "hosts": plan.hosts - np.array([1, 0])})
    (one,) = packed(problem, fewer)
    assert (one.left_out, one.more_hosts) == (1, 1)
    assert str(one) == "pool 'a': 1 of 3 machines did not pack onto 2 hosts; plan 1 more"


def test_the_cheapest_single_change_is_told_and_is_enough() -> None:
    problem = estate(6)
    (one,) = solve(problem).impossible
    assert one.would_help.startswith("1 more host of 'a0' in pool 'a'; then they cost at most ")
    more = replace(problem, blocks=replace(problem.blocks, most=problem.blocks.most + np.array([1, 0])))
    assert not solve(more).unplaced.any()


@pytest.mark.parametrize(
    ("machines", "more_hosts", "trials"),
    [
        (60, 22, 8),  # 240 vCPU on 25 hosts, of which one may fail
        (165, 64, 8),  # 660 on 67
        (200, 0, 1),  # 800 on 81: more than are looked for
    ],
)
def test_the_fewest_hosts_that_are_enough_are_told_after_few_trials(
    machines: int, more_hosts: int, trials: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def counted(
        seating: Seating, g: int, problem: PlanningProblem, block: int, hosts: int
    ) -> Seating | None:
        tried.append(hosts)
        return with_change(seating, g, problem, block, hosts)

    with_change = helping._with
    monkeypatch.setattr(helping, "_with", counted)
    (one,) = solve(estate(machines)).impossible
    assert one.would_help.split(" of ")[0] == (f"{more_hosts} more hosts" if more_hosts else "")
    assert len(tried) <= trials


def test_no_change_is_told_where_none_is_enough_by_itself() -> None:
    problem = estate(6, demand=40)  # Larger than any host: more of them are of no use.
    (one,) = solve(problem).impossible
    assert one.would_help == ""


@pytest.mark.parametrize("seed", range(60))
def test_what_would_help_is_enough_and_costs_no_more_than_was_told(seed: int) -> None:
    problem = ruled(random_problem(seed, products=2))
    # One kind of host cannot be had at all, and pools need more hosts than some of them have.
    blocks, gone = problem.blocks, np.array([True, seed % 2 == 0, True])
    few = replace(blocks, most=blocks.most * gone, existing=blocks.existing * gone)
    problem = in_euros(replace(problem, blocks=few))
    plan = solve(problem)
    for one in plan.impossible:
        assert {reason.pool for reason in one.reasons} == set(problem.pools.ids) or not one.conflict
        if not one.would_help:
            continue
        out, cost, _ = least(_helped(problem, one.would_help))
        would_be_out = int(plan.unplaced.sum()) - one.machines
        told = re.search(r"at most (-?[\d,]+) EUR a month", one.would_help)
        assert told
        assert out <= would_be_out
        if out == would_be_out:
            assert cost <= plan.cost_micros + int(told[1].replace(",", "")) * MICROS


def in_euros(problem: PlanningProblem) -> PlanningProblem:
    """A month, in which all that cost a micro-unit costs a euro."""
    groups, blocks = problem.groups, problem.blocks
    assert groups.move_cost is not None
    return replace(
        problem,
        groups=replace(groups, costs=_times(groups.costs), move_cost=groups.move_cost * MICROS),
        pools=replace(problem.pools, open_costs=_times(problem.pools.open_costs)),
        blocks=replace(
            blocks, kept_costs=_times(blocks.kept_costs), bought_costs=_times(blocks.bought_costs)
        ),
        products=tuple(
            replace(one, alternatives=tuple(_dear(a) for a in one.alternatives)) for one in problem.products
        ),
        sunk={term: micros * MICROS for term, micros in problem.sunk.items()},
        horizon_hours=HOURS_PER_MONTH,
    )


def _times(terms: Mapping[str, Int64]) -> dict[str, Int64]:
    return {term: micros * MICROS for term, micros in terms.items()}


def _dear(way: Alternative) -> Alternative:
    more = way.add_on and way.add_on.model_copy(
        update={"pack_cost_micros": way.add_on.pack_cost_micros * MICROS}
    )
    return way.model_copy(update={"pack_cost_micros": way.pack_cost_micros * MICROS, "add_on": more})


def _helped(problem: PlanningProblem, words: str) -> PlanningProblem:
    """With the one change that words tell of."""
    if rule := re.match(r"lift rule '(.*?)' for '(.*?)'", words):
        groups, g = lifted(problem, rule[1]).groups.allowed, problem.groups.ids.index(rule[2])
        allowed = problem.groups.allowed.copy()
        allowed[g] = groups[g]
        return replace(problem, groups=replace(problem.groups, allowed=allowed))
    if hosts := re.match(r"(\d+) more hosts? of '(.*?)'", words):
        more = int(hosts[1]) * np.array([name == hosts[2] for name in problem.blocks.ids])
        return replace(problem, blocks=replace(problem.blocks, most=problem.blocks.most + more))
    moves = re.match(r"allow \d+ more moves, (\d+) in all", words)
    assert moves, words
    return replace(problem, most_moves=int(moves[1]))
