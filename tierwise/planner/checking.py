"""What a document says of the estate and of prices: names that are nowhere, and changes that contradict each other."""

import re
from collections.abc import Iterator, Mapping, Sequence

from catalog.estates.classified import Classified
from catalog.estates.model import Estate
from catalog.problems import Problem
from catalog.wording import counted
from catalog.workload_classes import WorkloadClass
from chargeback.economics.document import Economics
from tierwise.planner.change import Change
from tierwise.planner.changes.price import LICENCES
from tierwise.planner.figures import paying, wrong_edit
from tierwise.planner.grouping import MachineGroups
from tierwise.planner.licensing import of_pools
from tierwise.planner.reading import Loaded
from tierwise.planner.selecting import Known
from tierwise.planner.world import FigureEdit, World

TERMS = (
    "hardware", "maintenance", "power", "space", "labour", "storage", "network", "facilities", "licences", "migration",
)  # fmt: skip


def known_of(
    loaded: Loaded,
    world: World,
    estate: Estate,
    economics: Economics,
    classes: Mapping[str, WorkloadClass],
    classified: Mapping[str, Classified],
) -> Known:
    """The names that rules and changes may use."""
    pools = {name: one.like for name, one in world.pools.items()}
    targets = {str(one.target) for one in classified.values() if one.target}
    blocks: dict[str, list[str]] = {name: [] for name in pools}
    hosts = dict.fromkeys(pools, 0)
    for block in world.blocks:
        blocks[block.pool] += [block.type or block.model]
        hosts[block.pool] += block.today
    return Known(
        pools=pools,
        tiers=_each(one.tier for one in pools.values()),
        sites=_each(one.site for one in pools.values()),
        regions=_each(one.region for one in pools.values()),
        classes=_each([*classes, *sorted(targets)]),
        software=_each(
            [
                *(name for one in classified.values() for name in one.facts.software),
                *(name for one in economics.licences for name in one.match.software),
            ]
        ),
        applications=_each(one.application for one in estate.machines),
        tenants=_each(one.tenant for one in estate.machines),
        machines=_each(name for one in estate.machines for name in (one.name, one.id)),
        products={one.name: tuple(way.name for way in one.alternatives) for one in economics.licences},
        metrics={
            (one.name, way.name): way.metric for one in economics.licences for way in one.alternatives
        },
        owned=frozenset(
            (one.name, way.name) for one in economics.licences for way in one.alternatives if way.owned
        ),
        running=frozenset(
            (one.name, way.name)
            for one in economics.licences
            for way in one.alternatives
            if any(owned.until > loaded.document.start for owned in way.owned)
        ),
        not_in_contract=frozenset(one.name for one in economics.licences if not one.applies),
        needed_on={
            one.name: frozenset(
                name
                for name, pool in pools.items()
                if of_pools(one.match).needs(hypervisor=pool.hypervisor.value, pool=name)
            )
            for one in economics.licences
        },
        blocks={name: tuple(types) for name, types in blocks.items()},
        hosts=hosts,
        sizes={name: tuple(one.sizes) for name, one in classes.items()},
        rules=tuple(loaded.document.rules),
        terms=tuple(one for one in TERMS if one != LICENCES or _beside_products(economics)),
        months=loaded.document.months,
        rates=loaded.document.rates is not None,
        paying=paying(economics, world),
        figure=lambda path, percent, value: wrong_edit(
            economics, FigureEdit(tuple(path.split(".")), percent, value)
        ),
    )


def _beside_products(economics: Economics) -> bool:
    """Whether anything is called a licence that is no product: what pools, hosts or machines cost."""
    terms = {*(one.term for one in economics.opening), *(one.term for one in economics.other)}
    return LICENCES in terms


def problems(loaded: Loaded, known: Known) -> Iterator[Problem]:
    """Everything that is wrong with rules and scenarios, where it stands."""
    for name, rule in loaded.document.rules.items():
        for path, why in rule.mistakes(known):
            yield loaded.problem(("rules", name, *path), why)
    for name, scenario in loaded.document.scenarios.items():
        changes = [one for one in scenario.changes if isinstance(one, Change)]
        yield from _wrong_names(loaded, known, name, changes)
        yield from _contradictions(loaded, known, name, changes)


def _wrong_names(
    loaded: Loaded, known: Known, scenario: str, changes: Sequence[Change]
) -> Iterator[Problem]:
    for i, change in enumerate(changes):
        for path, why in change.mistakes(known):
            yield loaded.problem(("scenarios", scenario, "changes", i, *path), why)


def _contradictions(
    loaded: Loaded, known: Known, scenario: str, changes: Sequence[Change]
) -> Iterator[Problem]:
    """Two changes of the same thing, and changes of what another takes away."""
    first: dict[str, int] = {}
    for i, change in enumerate(changes):
        path = ("scenarios", scenario, "changes", i)
        again = sorted((one for one in change.touches(known) if one in first), key=_by_number)
        if again:
            earlier = f"change {first[again[0]] + 1} of this scenario ({_line(loaded, scenario, first[again[0]])})"
            more = f", and {len(again) - 1} more" if len(again) > 1 else ""
            yield loaded.problem(path, f"{earlier} changes {again[0]}{more} already; keep one of them")
        for one in change.touches(known):
            first.setdefault(one, i)
    removed = {name: (i, one) for i, one in enumerate(changes) for name in one.removes(known)}
    for i, change in enumerate(changes):
        without = [needed for needed in change.needs(known) if needed and needed <= removed.keys()]
        if without:
            needed = sorted(without[0])
            j, other = removed[needed[0]]
            yield loaded.problem(
                ("scenarios", scenario, "changes", i),
                f"'{change}' contradicts '{other}' ({_line(loaded, scenario, j)}): nothing is left of "
                f"{', '.join(needed[:4])}; leave one of them out",
            )


def chosen_twice(loaded: Loaded, groups: MachineGroups) -> Iterator[Problem]:
    """Two changes of a kind whose selectors differ and mean the same machines of the estate."""
    for name, scenario in loaded.document.scenarios.items():
        first: dict[tuple[str, bytes], int] = {}
        changes = [one for one in scenario.changes if isinstance(one, Change)]
        for i, change in enumerate(changes):
            only = change.only_of()
            if only is None or not groups.selected[only].any():
                continue
            chosen = groups.selected[only]
            j = first.setdefault((change.kind, chosen.tobytes()), i)
            if j < i:
                count = counted(int(groups.count[chosen].sum()), "machine")
                yield loaded.problem(
                    ("scenarios", name, "changes", i),
                    f"'{change}' is of the same {count} as change {j + 1} of this scenario ({_line(loaded, name, j)}), "
                    f"'{changes[j]}'; keep one of them",
                )


def _by_number(text: str) -> list[tuple[int, str]]:
    """Month 2 before month 10."""
    return [(int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", text)]


def _line(loaded: Loaded, scenario: str, change: int) -> str:
    return f"line {loaded.problem(('scenarios', scenario, 'changes', change), '').line}"


def _each(names: Iterator[str] | list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))
