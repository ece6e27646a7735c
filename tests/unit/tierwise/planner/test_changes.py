"""What each kind of change does, on an estate small enough to see it."""

from collections.abc import Callable
from typing import Any

import pytest

from catalog.documents import DocumentError
from placement.plan import Limits
from tierwise.errors import InvalidInput
from tierwise.planner.prepare import Prepared, changes_of
from tierwise.planner.result import ScenarioResult
from tierwise.planner.run import run
from tierwise.testing import two_pools as small

Asked = Callable[..., Prepared]
MICROS = 10**6
RULES = "rules:\n  north: {machines: {names: ['vm-0[0-3]']}, only: {sites: [north]}, reason: data stays in the north}\n"
WITHOUT_BETA = """\
format: tierwise-whatif/1
name: half
estate: unused
start: 2027-01-01
economics: unused
pools:
  Alpha: {tier: tier-1}
"""


def scenario(*changes: str) -> str:
    lines = "".join(f"      - {one}\n" for one in changes)
    return f"scenarios:\n  one:\n    changes:\n{lines}" if changes else "scenarios:\n  one: {changes: []}\n"


def solved(asked: Asked, *changes: str, more: str = "", **rest: Any) -> ScenarioResult:
    return run(asked(more + scenario(*changes), **rest), limits=Limits()).scenarios[0]


LARGE = "  large: {match: {pool: Alpha}, purchase_price: 9, depreciation_months: 60}\n  any:"
SITES = f"""\
{small.ECONOMICS.replace("  any:", LARGE, 1)}
sites: {{north: {{price_per_kwh: 0.3}}}}
opening: {{array: {{match: {{name: Alpha}}, purchase_price: 9, depreciation_months: 60, bought_on: 2026-01-01, per_month: 1}}}}
other: {{fee: {{term: network, match: {{tier: tier-1}}, per: pool, per_month: 1}}}}
"""


def told(asked: Asked, *changes: str, more: str = "", **rest: Any) -> list[str]:
    with pytest.raises(DocumentError) as error:
        asked(more + scenario(*changes), **rest)
    return [str(one) for one in error.value.problems]


def test_a_price_changes_one_term_of_one_tier(asked: Asked) -> None:
    base = run(asked(scenario()), limits=Limits()).today
    prepared = asked(scenario("{kind: price, of: {tiers: [tier-1]}, term: maintenance, percent: 50}"))
    problem = prepared.problem(changes_of(prepared.scenario("one")))
    assert [int(n) for n in problem.blocks.kept_costs["maintenance"]] == [
        1800 * MICROS,
        1200 * MICROS,
        1200 * MICROS,
    ]
    assert base.terms["maintenance"] == 5 * 1200 * MICROS


def test_a_figure_of_the_economics_document_is_scaled_or_set(asked: Asked) -> None:
    for change, gib in (("percent: 100", 0.10), ("value: 0.2", 0.20)):
        prepared = asked(scenario(f"{{kind: figure, path: storage.any.per_gib_per_month, {change}}}"))
        problem = prepared.problem(changes_of(prepared.scenario("one")))
        assert int(problem.groups.costs["storage"][0, 0]) == round(100 * gib * 12 * MICROS)


def test_a_licence_counts_by_other_minimums_and_costs_more(asked: Asked) -> None:
    prepared = asked(
        scenario(
            "{kind: licence, product: suite, alternative: standard, percent: 20, per_socket_minimum: 8}"
        )
    )
    (product,) = prepared.problem(changes_of(prepared.scenario("one"))).products
    standard, plus = product.alternatives
    assert (standard.per_socket_minimum, standard.pack_cost_micros) == (8, 144 * MICROS)
    assert (plus.per_socket_minimum, plus.pack_cost_micros) == (0, 216 * MICROS)


def test_an_edition_that_is_withdrawn_is_no_longer_taken(asked: Asked) -> None:
    found = solved(
        asked, "{kind: withdrawn, product: suite, alternative: plus}", "{kind: most_moves, machines: 0}"
    )
    assert {one.alternative for one in found.licences} == {"standard"}


def test_machines_of_a_product_without_any_edition_have_no_place_there(asked: Asked) -> None:
    gone = [f"{{kind: withdrawn, product: suite, alternative: {way}}}" for way in ("plus", "standard")]
    found = solved(asked, *gone, more=RULES)
    assert found.unplaced == 4
    assert "every edition is withdrawn" in found.stranded[0].reasons[0].why


def test_lost_hosts_are_not_paid_and_give_no_room(asked: Asked) -> None:
    found = solved(asked, "{kind: host_loss, pool: Alpha, hosts: 2}", "{kind: most_moves, machines: 0}")
    alpha = next(one for one in found.pools if one.pool == "Alpha")
    # One host is left, and it may fail: nothing of Alpha can restart, so nothing may be there.
    assert (alpha.machines, alpha.hosts_kept, alpha.hosts_given_up) == (0, 0, 3)
    assert found.unplaced == 8


def test_hosts_that_are_bought_for_those_that_are_lost_are_not_lost_themselves(asked: Asked) -> None:
    larger = small.DOCUMENT.replace("memory_mib: 131072", "memory_mib: 262144")
    found = solved(
        asked,
        "{kind: host_loss, pool: Beta, hosts: 2}",
        "{kind: hosts_bought, pool: Beta, type: small, hosts: 2, certain: true}",
        "{kind: most_moves, machines: 0}",
        document=larger,
    )
    assert {one.block: (one.kept, one.bought) for one in found.hosts if one.pool == "Beta"} == {
        "Beta: hosts (16 cores, 131072 MiB)": (0, 0),
        "Beta: small bought": (0, 2),
    }
    assert found.unplaced == 0


def test_a_lost_site_sends_its_machines_elsewhere(asked: Asked) -> None:
    found = solved(asked, "{kind: site_loss, site: south}")
    assert {one.source for one in found.moves} == {"Beta"}
    assert len(found.moves) == 4
    assert (
        next(one for one in found.pools if one.pool == "Beta").closed
        == "site south is lost in this scenario"
    )


def test_a_closed_pool_strands_machines_that_may_go_nowhere_else(asked: Asked) -> None:
    found = solved(asked, "{kind: pool_closed, of: {pools: [Alpha]}}", more=RULES)
    assert found.unplaced == 4
    (group,) = found.stranded
    assert group.names == ("vm-00", "vm-01", "vm-02", "vm-03")
    text = " ".join(map(str, group.reasons))
    assert (
        "pools of pool Alpha are closed in this scenario; leave out the change 'pools of pool Alpha closed'"
        in text
    )
    assert "data stays in the north; lift the rule 'north' for these machines" in text


def test_hosts_that_are_bought_for_certain_are_paid_even_if_nothing_runs_on_them(asked: Asked) -> None:
    without = solved(asked)
    bought = solved(asked, "{kind: hosts_bought, pool: Beta, type: small, hosts: 2, certain: true}")
    assert bought.terms["sunk hardware"] == 2 * 1200 * MICROS
    assert bought.cost_micros <= without.cost_micros + 2 * 1200 * MICROS
    offered = solved(asked, "{kind: hosts_bought, pool: Beta, type: small, hosts: 2}")
    assert offered.cost_micros <= without.cost_micros


def test_growth_adds_machines_in_proportion_and_spread_over_sizes(asked: Asked) -> None:
    prepared = asked(scenario("{kind: growth, percent: 50}"))
    groups = prepared.problem(changes_of(prepared.scenario("one"))).groups
    new = {name: int(n) for name, n in zip(groups.ids, groups.count, strict=True) if "growth" in name}
    assert sorted(new.values()) == [2, 4]
    assert all(
        int(at) == -1 for name, at in zip(groups.ids, groups.current, strict=True) if "growth" in name
    )


def test_machines_that_several_changes_grow_are_told(asked: Asked) -> None:
    beta = "{kind: growth, machines: {tiers: [tier-2]}, percent: 25}"
    found = solved(asked, "{kind: growth, percent: 50}", beta)
    assert found.machines == 12 + 6 + 1
    told = "4 machines grow by several changes, and each adds its own: '+25% machines of tiers tier-2', '+50% all machines'"
    assert told in found.notes
    apart = solved(asked, "{kind: growth, machines: {pools: [Alpha]}, percent: 50}", beta)
    assert not any("several changes" in note for note in apart.notes)


def test_growth_with_a_seed_takes_as_many_and_the_same_each_time(asked: Asked) -> None:
    def counts(seed: int) -> list[int]:
        prepared = asked(scenario(f"{{kind: growth, percent: 25, seed: {seed}}}"))
        return [int(n) for n in prepared.problem(changes_of(prepared.scenario("one"))).groups.count]

    assert counts(7) == counts(7)
    assert sum(counts(7)) == sum(counts(0)) == 15


def test_a_rule_of_a_scenario_sends_machines_and_a_lifted_one_lets_them_go(asked: Asked) -> None:
    rule = "{kind: rule, name: south, machines: {applications: [shop]}, only: {sites: [south]}, reason: near the lake}"
    found = solved(asked, rule, "{kind: host_loss, pool: Beta, hosts: 1}")
    assert {one.name for one in found.moves if one.source == "Alpha"} >= {
        "vm-00",
        "vm-01",
        "vm-02",
        "vm-03",
    }
    closed = "{kind: pool_closed, of: {pools: [Alpha]}}"
    assert solved(asked, closed, "{kind: rule_lifted, rule: north}", more=RULES).unplaced == 0


def test_a_tier_move_takes_its_machines_to_the_tier(asked: Asked) -> None:
    found = solved(asked, "{kind: tier_move, machines: {tiers: [tier-2]}, to: tier-1}")
    assert {one.name for one in found.moves if one.target == "Alpha"} == {
        f"vm-{n:02}" for n in range(8, 12)
    }


def test_machines_that_are_fixed_and_most_moves_hold_a_plan_back(asked: Asked) -> None:
    retired = "{kind: hypervisor_retired, hypervisor: vsphere}"
    fixed = solved(asked, retired, "{kind: fixed, machines: {applications: [shop]}}")
    assert (fixed.unplaced, len(fixed.moves)) == (4, 4)
    few = solved(asked, retired, "{kind: most_moves, machines: 3}")
    assert (few.unplaced, len(few.moves)) == (5, 3)


def test_what_would_help_machines_that_are_fixed_names_the_change(asked: Asked) -> None:
    found = solved(
        asked,
        "{kind: fixed, reason: frozen until the audit}",
        "{kind: pool_closed, of: {pools: [Beta]}}",
        "{kind: reserve, losses: 0}",
    )
    (stranded,) = found.stranded
    assert stranded.would_help.startswith("lift rule 'what-if: frozen until the audit' for ")


def test_no_edition_that_is_withdrawn_is_lifted_as_if_it_cost_nothing(asked: Asked) -> None:
    found = solved(
        asked,
        *(f"{{kind: withdrawn, product: suite, alternative: {one}}}" for one in ("standard", "plus")),
        "{kind: pool_closed, of: {pools: [Beta]}}",
    )
    assert found.unplaced == 12
    assert {one.would_help for one in found.stranded} == {""}


def test_n_plus_k_can_be_more_or_only_told(asked: Asked) -> None:
    retired = "{kind: hypervisor_retired, hypervisor: vsphere}"
    kept = solved(asked, retired, "{kind: reserve, losses: 2}")
    # Four hosts of 128 GiB with two lost hold 256 GiB: all four of Beta's 16 and six of 32.
    assert kept.unplaced == 2
    said = {one.why for stranded in kept.stranded for one in stranded.reasons}
    assert any(
        "is free with all hosts that it could have and room kept for the loss of " in one for one in said
    ), said
    assert kept.holds
    only_told = solved(asked, retired, "{kind: reserve, enforce: false}", "{kind: reserve, losses: 2}")
    assert only_told.unplaced == 0
    assert not only_told.holds
    assert only_told.short[0].resource_class == "memory_mib"


def test_overcommit_makes_room(asked: Asked) -> None:
    retired = "{kind: hypervisor_retired, hypervisor: vsphere}"
    found = solved(asked, retired, "{kind: promised, memory: 2}")
    assert sum(one.kept + one.bought for one in found.hosts) < 4


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ("{kind: pool_closed, of: {pools: [Alhpa]}}", "there is no 'Alhpa'; did you mean 'Alpha'?"),
        ("{kind: pool_closed, of: {tiers: [tier-1], sites: [south]}}", "no pool fits pools of tier tier-1, site south"),
        ("{kind: site_loss, site: nroth}", "did you mean 'north'?"),
        ("{kind: hypervisor_retired, hypervisor: xen}", "no pool runs 'xen'"),
        ("{kind: host_loss, pool: Alpha, hosts: 4}", "'Alpha' has 3 hosts, so 4 cannot be lost; say at most 3"),
        ("{kind: hosts_bought, pool: Beta, type: smal, hosts: 1}", "did you mean 'small'?"),
        ("{kind: figure, path: storage.any.per_gib_per_mont, percent: 5}", "did you mean 'storage.any.per_gib_per_month'?"),
        ("{kind: figure, path: storage.any.per_gib_per_month, value: 1e30}", "the figure cannot be that"),
        ("{kind: figure, path: storage.any.per_gib_per_month, value: dear}", "the figure cannot be that"),
        ("{kind: figure, path: host_types.any.depreciation_months, percent: 1}", "whole months from 1 to 600"),
        ("{kind: licence, product: suit, percent: 5}", "did you mean 'suite'?"),
        ("{kind: licence, product: suite, renewal: 2027-05-01}", "nothing is owned of suite, so that nothing is renewed"),
        (
            "{kind: licence, product: suite, alternative: plus, per_machine_minimum: 8}",
            "per_machine_minimum: is of per_vcpu, and suite (plus) is counted per_core; leave it out",
        ),
        ("{kind: withdrawn, product: suite, alternative: pls}", "did you mean 'plus'?"),
        ("{kind: rule_lifted, rule: nort}", "there is no 'nort'"),
        ("{kind: tier_move, to: tier-3}", "there is no 'tier-3'; did you mean"),
        ("{kind: growth, percent: 5, machines: {applications: [shpo]}}", "did you mean 'shop'?"),
        ("{kind: growth, percent: 5, machines: {names: ['web-*']}}", "the pattern 'web-*' fits nothing"),
        ("{kind: price, term: pwoer, percent: 5}", "did you mean 'power'?"),
        ("{kind: price, term: licences, percent: 5}", "change their price by {kind: licence, product: ..., percent: ...}"),
        ("{kind: demand, class: web, size: small, per_month: 1}", "there is no class 'web'; there are none yet"),
        ("{kind: rule, name: north, never: {sites: [south]}, reason: because}", "has a rule 'north' already"),
    ],
)  # fmt: skip
def test_a_name_that_is_nowhere_is_told_with_its_place_and_the_nearest(
    asked: Asked, change: str, word: str
) -> None:
    (problem,) = told(asked, change, more=RULES)
    assert word in problem
    assert problem.startswith("whatif.yaml:20:")


@pytest.mark.parametrize(
    ("first", "second", "word"),
    [
        ("{kind: site_loss, site: south}", "{kind: hosts_bought, pool: Beta, type: small, hosts: 1}", "contradicts 'site south lost' (line 18)"),
        ("{kind: hypervisor_retired, hypervisor: vsphere}", "{kind: tier_move, to: tier-1}", "nothing is left of Alpha"),
        ("{kind: pool_closed, of: {pools: [Alpha]}}", "{kind: host_loss, pool: Alpha, hosts: 1}", "contradicts"),
        ("{kind: withdrawn, product: suite, alternative: plus}", "{kind: licence, product: suite, alternative: plus, percent: 5}", "'licence suite (plus): +5%' contradicts 'suite (plus) no longer on sale' (line 18): nothing is left of licence suite (plus); leave one of them out"),
        ("{kind: withdrawn, product: suite, alternative: plus}", "{kind: figure, path: licences.suite.alternatives.1.prices.0.amount, percent: 5}", "nothing is left of licence suite (plus)"),
        ("{kind: hypervisor_retired, hypervisor: vsphere}", "{kind: licence, product: suite, per_socket_minimum: 8}", "'licence suite: per socket minimum 8' contradicts 'vSphere retired' (line 18): nothing is left of Alpha"),
        ("{kind: site_loss, site: north}", "{kind: figure, path: sites.north.price_per_kwh, percent: 5}", "'sites.north.price_per_kwh +5%' contradicts 'site north lost'"),
        ("{kind: pool_closed, of: {pools: [Alpha]}}", "{kind: figure, path: host_types.large.purchase_price, percent: 5}", "nothing is left of Alpha"),
        ("{kind: pool_closed, of: {pools: [Alpha]}}", "{kind: figure, path: opening.array.per_month, percent: 5}", "nothing is left of Alpha"),
        ("{kind: site_loss, site: north}", "{kind: figure, path: other.fee.per_month, percent: 5}", "nothing is left of Alpha"),
        ("{kind: site_loss, site: south}", "{kind: figure, path: migration.away.per_machine, percent: 5}", "nothing is left of Beta"),
        ("{kind: pool_closed, of: {pools: [Beta]}}", "{kind: price, of: {tiers: [tier-2]}, percent: 5}", "nothing is left of Beta"),
        ("{kind: pool_closed, of: {pools: [Beta]}}", "{kind: promised, of: {tiers: [tier-2]}, memory: 2}", "nothing is left of Beta"),
        ("{kind: site_loss, site: south}", "{kind: reserve, of: {tiers: [tier-2]}, losses: 2}", "nothing is left of Beta"),
        ("{kind: price, percent: 5}", "{kind: price, percent: 6}", "changes the price of everything on Alpha, and 1 more already"),
        ("{kind: most_moves, machines: 3}", "{kind: most_moves, machines: 4}", "changes how many machines may move already"),
        ("{kind: growth, machines: {pools: [Alpha, Beta]}, percent: 5}", "{kind: growth, machines: {pools: [beta, Alpha, beta]}, percent: 6}", "changes the growth of machines of pools alpha or beta already"),
        ("{kind: fixed, machines: {hypervisors: [vsphere, hyperv]}}", "{kind: fixed, machines: {hypervisors: [hyperv, vsphere]}}", "changes whether machines of hypervisors hyperv or vsphere may move already"),
        ("{kind: tier_move, machines: {pools: [Alpha, Beta]}, to: tier-2}", "{kind: tier_move, machines: {pools: [Beta, Alpha]}, to: tier-2}", "changes the tier of machines of pools alpha or beta already"),
        ("{kind: growth, machines: {tiers: [tier-2]}, percent: 5}", "{kind: growth, machines: {pools: [Beta]}, percent: 6}", "'+6% machines of pools Beta' is of the same 4 machines as change 1 of this scenario (line 18), '+5% machines of tiers tier-2'; keep one of them"),
        ("{kind: fixed, machines: {sites: [north]}}", "{kind: fixed, machines: {hypervisors: [vsphere]}}", "is of the same 8 machines as change 1"),
        ("{kind: tier_move, machines: {names: ['*']}, to: tier-2}", "{kind: tier_move, to: tier-1}", "is of the same 12 machines as change 1"),
        ("{kind: sizes, by: use}", "{kind: sizes, by: today}", "changes the sizes of machines already"),
        ("{kind: reserve, losses: 1}", "{kind: reserve, of: {pools: [Beta]}, losses: 2}", "changes N+k of Beta already"),
        ("{kind: licence, product: suite, percent: 5}", "{kind: licence, product: suite, alternative: plus, percent: 9}", "changes the price of licence suite (plus) already"),
    ],
)  # fmt: skip
def test_changes_that_contradict_each_other_are_told_with_both_places(
    asked: Asked, first: str, second: str, word: str
) -> None:
    (problem,) = told(asked, first, second, economics=SITES)
    assert word in problem
    assert problem.startswith("whatif.yaml:19:")


@pytest.mark.parametrize(
    "path", ["migration.away.per_machine", "host_types.any.purchase_price", "opening.array.purchase_price"]
)
def test_a_figure_that_still_counts_when_a_pool_is_closed_may_change(asked: Asked, path: str) -> None:
    # Alpha's machines move, hosts that could be bought for Beta are of type any, and what was bought once is sunk.
    closed, dearer = (
        "{kind: pool_closed, of: {pools: [Alpha]}}",
        f"{{kind: figure, path: {path}, percent: 900}}",
    )
    before, after = (solved(asked, *some, economics=SITES) for some in ([closed], [closed, dearer]))
    assert after.cost_micros > before.cost_micros


@pytest.mark.parametrize("type_", ["small", "hosts"])
def test_hosts_are_bought_for_certain_and_more_of_them_on_offer(asked: Asked, type_: str) -> None:
    # 256 GiB leave Alpha, and 64 are on Beta: with N+1 four hosts of 128, of which two are there.
    retired = "{kind: hypervisor_retired, hypervisor: vsphere}"
    asked_for = f"{{kind: hosts_bought, pool: Beta, type: {type_}, hosts:"
    both = [f"{asked_for} 1, certain: true}}", f"{asked_for} 3}}"]
    document = small.DOCUMENT.replace("most: 2", "most: 0")
    found = [solved(asked, retired, *some, document=document) for some in (both, both[::-1])]
    bought = [{one.block: one.bought for one in each.hosts if one.bought} for each in found]
    offered = "Beta: hosts (16 cores, 131072 MiB) (new)" if type_ == "hosts" else "Beta: small (new)"
    assert bought == 2 * [{f"Beta: {type_} bought": 1, offered: 1}]
    assert found[0].cost_micros == found[1].cost_micros
    (problem,) = told(asked, both[1], both[1])
    assert f"changes how many {type_} are offered for Beta already" in problem


@pytest.mark.parametrize(
    "change",
    [
        "{kind: licence, product: suite, percent: 5}",
        "{kind: withdrawn, product: suite, alternative: plus}",
        "{kind: figure, path: licences.suite.alternatives.1.prices.0.amount, percent: 5}",
    ],
)
def test_a_change_of_a_licence_that_is_not_in_the_contract_is_refused(asked: Asked, change: str) -> None:
    asked(scenario(change))
    off = small.ECONOMICS.replace("  suite:\n", "  suite:\n    applies: false\n")
    assert off != small.ECONOMICS
    (problem,) = told(asked, change, economics=off)
    assert "'applies: false'" in problem


def test_a_minimum_of_a_product_needs_an_edition_that_it_counts_in_and_that_is_sold(asked: Asked) -> None:
    by_vcpu = "{name: by vcpu, metric: per_vcpu, prices: [{amount: 1, period: month}]}"
    document = f"{small.ECONOMICS}      - {by_vcpu}\n"
    minimum = "{kind: licence, product: suite, per_machine_minimum: 8}"
    (problem,) = told(
        asked, minimum, "{kind: withdrawn, product: suite, alternative: by vcpu}", economics=document
    )
    assert "contradicts 'suite (by vcpu) no longer on sale' (line 19)" in problem
    # One that counts in another edition is left alone.
    asked(scenario(minimum, "{kind: withdrawn, product: suite, alternative: plus}"), economics=document)


OWNED = small.ECONOMICS.replace(
    "period: month}]}\n      - {name: plus",
    "period: month}], owned: [{packs: 60, until: 2027-07-01}]}\n      - {name: plus",
)


@pytest.mark.parametrize(
    "changes",
    [
        # What is owned can be used until its renewal, and more of it bought.
        ["{kind: withdrawn, product: suite, alternative: standard}", "{kind: licence, product: suite, alternative: standard, percent: 5}"],
        ["{kind: withdrawn, product: suite, alternative: standard}", "{kind: licence, product: suite, renewal: 2027-10-01}"],
        # What is sunk is paid wherever machines are.
        ["{kind: hypervisor_retired, hypervisor: vsphere}", "{kind: licence, product: suite, renewal: 2027-10-01}"],
        # Another edition, or another pool, is still there.
        ["{kind: withdrawn, product: suite, alternative: plus}", "{kind: licence, product: suite, percent: 5}"],
        ["{kind: pool_closed, of: {pools: [Beta]}}", "{kind: price, percent: 5}", "{kind: reserve, losses: 0}"],
        ["{kind: reserve, losses: 2}", "{kind: reserve, enforce: false}"],
    ],
)  # fmt: skip
def test_changes_that_go_together_are_not_refused(asked: Asked, changes: list[str]) -> None:
    assert solved(asked, *changes, economics=OWNED).terms


def test_a_figure_that_says_nothing_of_the_horizon_is_told(asked: Asked) -> None:
    late = small.ECONOMICS.replace("{value: 0.05, source: contract}", "{value: 0.05, from: 2028-01-01}")
    with pytest.raises(
        InvalidInput, match=r"unused: storage.any.per_gib_per_month: says nothing on 2027-01-01"
    ):
        asked(economics=late).problem(())


def test_a_document_that_does_not_fit_its_estate_is_told(asked: Asked) -> None:
    with pytest.raises(DocumentError) as error:
        asked("  Gamma: {tier: tier-3}\n  Delta: {new: true, tier: tier-3, hypervisor: xen, site: west}\n")
    assert [str(one) for one in error.value.problems] == [
        (
            "whatif.yaml:15:3: pools.Gamma: the estate has no pool 'Gamma'; known are Alpha, Beta; for one that does not exist "
            "yet say new: true"
        ),
        "whatif.yaml:16:3: pools.Delta: a new pool has no hosts; say which could be bought under 'hosts'",
    ]
    with pytest.raises(DocumentError, match=r"pools that are not here: Beta; give each its tier"):
        asked(document=WITHOUT_BETA)
