"""An estate and its documents, ready to be asked about: read, checked and grouped once, for any number of scenarios."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from catalog.documents import DocumentError
from catalog.problems import Problem
from catalog.wording import counted
from catalog.workload_classes import WorkloadClass
from chargeback.economics.document import Economics
from chargeback.economics.trace import MissingFigure
from chargeback.rates import RateCard
from placement.planning.problem import PlanningProblem
from tierwise.errors import InvalidInput
from tierwise.planner.build import Built, build
from tierwise.planner.change import Change
from tierwise.planner.checking import chosen_twice, known_of, problems
from tierwise.planner.document import Rule, Scenario, SizedBy, WhatIf
from tierwise.planner.grouping import MachineGroups, facts_of, group
from tierwise.planner.inputs import Inputs
from tierwise.planner.licensing import RAW_STORAGE, Needs, counts_of_hosts
from tierwise.planner.reading import Loaded
from tierwise.planner.recovery import why_not
from tierwise.planner.selecting import MachineSelector, PoolSelector
from tierwise.planner.standing import standing
from tierwise.planner.world import World


@dataclass(frozen=True, eq=False)
class Prepared:
    """All that scenarios are asked of. It can be pickled, so that other processes can solve them."""

    document: WhatIf
    world: World
    """Today, before anything changes."""
    groups: MachineGroups
    economics: Economics
    rates: RateCard | None
    """By which tiers charge; None: nobody says."""
    classes: Mapping[str, WorkloadClass]
    classified: bool
    """Whether machines were classified at all."""
    needs_eye: int
    """Machines that a person should look at."""
    applications: Mapping[str, str]
    """Machine id -> what it belongs to, of those that belong to something."""
    outside: Mapping[str, str]
    """Machine id -> its site, of those in no pool; empty where the source does not say."""
    age_days: int | None
    """How old the estate is on the first day of the horizon; None where its source does not say."""
    notes: tuple[str, ...]

    def scenario(self, name: str) -> Scenario:
        """One of the document's scenarios. Raises KeyError."""
        return self.document.scenarios[name]

    def changed(self, changes: tuple[Change, ...]) -> World:
        """Today's world with changes made; their order does not matter."""
        world = self.world
        for change in sorted(changes, key=lambda one: (one.kind, one.model_dump_json())):
            world = change.apply(world)
        return world

    def built(self, changes: tuple[Change, ...]) -> Built:
        """The planning problem of some changes, with what is needed to read its answer.

        Raises InvalidInput where the economics document lacks a figure that it takes.
        """
        try:
            return build(self.changed(changes), self.groups, self.economics, self.classes, self.document)
        except MissingFigure as error:
            msg = f"{self.document.economics}: {error}"
            raise InvalidInput(msg) from None

    def problem(self, changes: tuple[Change, ...]) -> PlanningProblem:
        """The planning problem of some changes."""
        return self.built(changes).problem


def changes_of(scenario: Scenario) -> tuple[Change, ...]:
    """The changes of a scenario."""
    return tuple(one for one in scenario.changes if isinstance(one, Change))


def prepare(loaded: Loaded, inputs: Inputs) -> Prepared:
    """Check the document against estate and prices, and group the machines. Raises DocumentError with all problems."""
    document, estate = loaded.document, inputs.estate
    now = standing(document, estate)
    wrong: list[Problem] = [loaded.problem(path, why) for path, why in now.mistakes]
    known = known_of(loaded, now.world, estate, inputs.economics, inputs.classes, inputs.classified)
    wrong += problems(loaded, known)
    if inputs.rates and (why := why_not(inputs.rates, set(known.tiers), document.start, document.months)):
        wrong.append(loaded.problem(("rates",), why))
    if wrong:
        raise DocumentError(wrong)
    pools = {name: one.like for name, one in now.world.pools.items()}
    facts = facts_of(estate, inputs.classified, pools, inputs.classes)
    required = _required(sorted({one.required_tier for one in facts if one.required_tier}))
    needs = Needs(inputs.economics)
    groups = group(
        estate,
        facts,
        [needs(one) for one in facts],
        tuple(dict.fromkeys((*selectors(document), *(rule.machines for rule in required)))),
        inputs.classified,
        inputs.used,
        document.sizing,
        sizes(document),
    )
    wrong = list(chosen_twice(loaded, groups))
    if wrong:
        raise DocumentError(wrong)
    taken = estate.taken_at
    return Prepared(
        document=document,
        world=replace(now.world, rules={**{one.name: one for one in required}, **now.world.rules}),
        groups=groups,
        economics=inputs.economics,
        rates=inputs.rates,
        classes=dict(inputs.classes),
        classified=bool(inputs.classified),
        needs_eye=sum(one.needs_eye for one in inputs.classified.values()),
        applications={one.id: one.application for one in estate.machines if one.application},
        outside={one.id: one.site for one in estate.machines if not estate.pool_of(one)},
        age_days=None if taken is None else max(0, (document.start - taken.date()).days),
        notes=(
            *inputs.notes,
            *now.notes,
            *_storage(document, now.world, inputs.economics),
            *_classless(document, inputs),
            *_idle(groups),
        ),
    )


def _required(tiers: Sequence[str]) -> tuple[Rule, ...]:
    """Rules that nobody has to write: of machines of which class rules say on which tier they must be."""
    return tuple(
        Rule(
            name=f"required tier {tier}",
            machines=MachineSelector(required_tiers=(tier,)),
            only=PoolSelector(tiers=(tier,)),
            reason=f"class rules say that it must be on {tier}",
        )
        for tier in tiers
    )


def _storage(document: WhatIf, world: World, economics: Economics) -> Iterator[str]:
    """Licences count the raw storage of hosts, which no export says: a pool whose hosts of today have none told."""
    products = counts_of_hosts(economics, RAW_STORAGE)
    standing_hosts = {one.pool for one in world.blocks if one.today}
    silent = [name for name in standing_hosts if document.pools[name].raw_storage_gib is None]
    if products and silent:
        yield (
            f"licences of {', '.join(products)} count {RAW_STORAGE}, and nobody says how much the hosts of "
            f"{', '.join(sorted(silent))} have: none is counted; say it in the pool"
        )


def selectors(document: WhatIf) -> tuple[MachineSelector, ...]:
    """Every selector of machines in the document, each once: what groups must tell apart."""
    # All machines, for growth that is no document's: of a break-even.
    found = [MachineSelector(), *(rule.machines for rule in document.rules.values())]
    for scenario in document.scenarios.values():
        for change in scenario.changes:
            found += [
                value
                for name in type(change).model_fields
                if isinstance(value := getattr(change, name), MachineSelector)
            ]
    return tuple(dict.fromkeys(found))


def sizes(document: WhatIf) -> frozenset[SizedBy]:
    """The sizes that any scenario takes; the more there are, the fewer machines are alike."""
    changes = [change for scenario in document.scenarios.values() for change in changes_of(scenario)]
    return frozenset({document.sizing.by}).union(*(change.sizes() for change in changes))


def _classless(document: WhatIf, inputs: Inputs) -> Iterator[str]:
    """Machines that are to be sized by their class and have none."""
    machines = inputs.estate.machines
    without = sum(
        not (said and said.workload_class) for one in machines for said in (inputs.classified.get(one.id),)
    )
    if "class" in sizes(document) and without:
        yield (
            f"sizes by class: {without:,} of {counted(len(machines), 'machine')} have no class and keep their size; "
            "name them in the rules or the mapping under 'classes'"
        )


def _idle(groups: MachineGroups) -> Iterator[str]:
    """Selectors that mean no machine: most often a pattern with a slip."""
    for selector, chosen in groups.selected.items():
        if not chosen.any():
            yield f"no machine fits: {selector}"
