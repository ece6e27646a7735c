"""Licences of an economics document as products that planning counts, with a scenario's edits."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from fractions import Fraction

import numpy as np

from chargeback.economics.costing import Line, counted_once, products_of_regions, region_of
from chargeback.economics.document import Economics
from chargeback.economics.licences import LicenceMatch
from chargeback.economics.terms import AddOnTerms, AlternativeTerms, LicenceTerms
from chargeback.economics.trace import Span
from placement.amounts import Exact
from placement.arrays import Bool
from placement.licensing.products import ExactAlternative
from placement.planning.problem import PlannedProduct
from tierwise.planner.pricing import pool_facts
from tierwise.planner.selecting import MachineFacts
from tierwise.planner.world import LicenceEdit, PoolState

ANYWHERE = ""
"""The region of pools that have none."""
RAW_STORAGE = "raw_storage_gib"
MEMORY = "memory_gib"
"""What licences may count of hosts beside sockets and cores."""


@dataclass(frozen=True, eq=False)
class NotForSale:
    """A product that some machines need on some pools and that cannot be had in any way."""

    product: str
    groups: Bool
    pools: Bool


@dataclass(frozen=True, eq=False)
class Licensing:
    """Products, what is paid for contracts that run, and the lines of both."""

    products: tuple[PlannedProduct, ...]
    documents: Mapping[str, str]
    """Product as it is planned -> its name in the economics document."""
    sunk_micros: int
    lines: tuple[Line, ...]
    terms: tuple[tuple[LicenceTerms, str], ...]
    """Each with its product's name."""
    nowhere: tuple[NotForSale, ...] = ()


class Needs:
    """Which products of a document a machine needs; where, is the pools' business."""

    def __init__(self, economics: Economics) -> None:
        self._match = {one.name: of_machines(one.match) for one in economics.licences if one.applies}
        self._found: dict[tuple[str, frozenset[str], tuple[tuple[str, str], ...]], tuple[str, ...]] = {}

    def __call__(self, machine: MachineFacts) -> tuple[str, ...]:
        """The products, in the document's order."""
        key = machine.guest_os, machine.software, tuple(sorted(machine.labels.items()))
        if key not in self._found:
            self._found[key] = tuple(
                name
                for name, match in self._match.items()
                if match.needs(
                    guest_os=machine.guest_os, software=sorted(machine.software), labels=machine.labels
                )
            )
        return self._found[key]


def of_machines(match: LicenceMatch) -> LicenceMatch:
    """What it says of machines alone."""
    return match.model_copy(update={"hypervisors": (), "pools": ()})


def of_pools(match: LicenceMatch) -> LicenceMatch:
    """What it says of pools alone."""
    return LicenceMatch(hypervisors=match.hypervisors, pools=match.pools)


def licensing(
    economics: Economics,
    edits: Sequence[LicenceEdit],
    pools: Sequence[PoolState],
    licensed: Mapping[str, Bool],
    span: Span,
) -> Licensing:
    """The products of all regions. What is the same in several regions is one order. Raises MissingFigure.

    What the contracts of an alternative cost is sunk once, however many regions it has prices in.
    """
    regions = [region_of(economics, pool_facts(one)) or ANYWHERE for one in pools]
    count = len(set(regions))
    found: list[PlannedProduct] = []
    documents: dict[str, str] = {}
    kept: list[tuple[LicenceTerms, str]] = []
    nowhere: list[NotForSale] = []
    sunk: dict[tuple[str, date, str], int] = {}
    needed: list[tuple[LicenceTerms, tuple[str | None, ...]]] = []
    for terms, where in products_of_regions(
        economics, span.start, span.months, regions, on_day=span.on_day
    ):
        ways = [
            _edited(way, terms.product, edits)
            for way in terms.alternatives
            if _on_sale(way, terms.product, edits)
        ]
        here = np.array([(r or None) in where for r in regions]) & _where(terms, pools)
        name = (
            terms.name
            if count == 1 or len(where) == count
            else f"{terms.name} in {' '.join(one or ANYWHERE for one in where)}"
        )
        groups = licensed.get(terms.product)
        for way, micros in terms.sunk.items():
            key = (terms.product, terms.start, way)
            sunk[key] = micros if here.any() else sunk.get(key, micros)
        if not here.any() or groups is None or not groups.any():
            continue
        needed.append((terms, where))
        if not ways:
            nowhere.append(NotForSale(name, groups, here))
            continue
        found.append(
            PlannedProduct(
                name=name,
                groups=groups,
                alternatives=tuple(ways),
                pools=here,
                reach=terms.reach,
                parts=terms.accepts_parts,
                whole_pool=terms.whole_pool,
                order=terms.name,
            )
        )
        documents[name] = terms.product
        kept.append((terms, name))
    counted_once(needed)
    lines = tuple(line for terms, _ in kept for line in terms.lines)
    return Licensing(tuple(found), documents, sum(sunk.values()), lines, tuple(kept), tuple(nowhere))


def _where(terms: LicenceTerms, pools: Sequence[PoolState]) -> Bool:
    match = of_pools(terms.match)
    return np.array(
        [match.needs(hypervisor=one.hypervisor.value, pool=one.like.name) for one in pools], dtype=np.bool_
    )


def _on_sale(way: AlternativeTerms, product: str, edits: Sequence[LicenceEdit]) -> bool:
    """An edition that is withdrawn is there as long as packs of it are owned, until their renewal."""
    return way.owned_packs > 0 or not any(
        one.withdrawn and (one.product, one.alternative) == (product, way.name) for one in edits
    )


def _edited(way: AlternativeTerms, product: str, edits: Sequence[LicenceEdit]) -> ExactAlternative:
    factor, settings = Fraction(1), {}
    for one in edits:
        if one.product != product or one.alternative not in {"", way.name}:
            continue
        settings.update(_of_its_metric(way, one.settings))
        if one.percent is not None:
            factor *= (Fraction(one.percent) + 100) / 100
    fields = {**asdict(way), **settings, **_times(way, factor)}
    if way.add_on is not None:
        fields["add_on"] = {**asdict(way.add_on), **_times(way.add_on, factor)}
    return ExactAlternative.model_validate(fields)


def _times(priced: AlternativeTerms | AddOnTerms, factor: Fraction) -> dict[str, Exact]:
    """What a pack costs then."""
    whole, rest = divmod(priced.pack_cost * factor, 1)
    return {"pack_cost_micros": whole, "pack_cost_rest": rest}


def counts_of_hosts(economics: Economics, amount: str) -> tuple[str, ...]:
    """The products that count an amount of hosts in any of their ways."""
    return tuple(
        one.name
        for one in economics.licences
        if one.applies
        and any(
            amount in {way.amount, *way.unit_covers, way.add_on.amount if way.add_on else ""}
            for way in one.alternatives
        )
    )


_CORES = frozenset({"per_socket_minimum", "per_host_minimum"})


def _of_its_metric(way: AlternativeTerms, settings: Mapping[str, int]) -> dict[str, int]:
    """Settings that say something of the alternative's metric; the others do not touch it."""
    wrong = set() if way.metric == "per_core" else set(_CORES)
    wrong |= set() if way.metric == "per_vcpu" else {"per_machine_minimum"}
    return {name: value for name, value in settings.items() if name not in wrong}
