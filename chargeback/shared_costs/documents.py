"""Pool cost documents -> `PoolCost`s and `SharedTenant`s, or every mistake in them with its line.

The reference of the format is docs/reference/shared-costs.md.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from catalog.base import Name, Value
from catalog.documents import DocumentError, Located, Path, Problem, checked, entries, parse
from catalog.wording import known_names
from chargeback.fx import AGE_MAX_DAYS, FxDay
from chargeback.instants import instant, zone
from chargeback.json_forms import ABOVE_ZERO, DAY, MOMENT, MONEY_OR_NOTHING
from chargeback.money import nanos_from_text
from chargeback.periods import TimeZone
from chargeback.rates import Currency
from chargeback.shared_costs.costs import (
    COST_MAX_NANOS,
    CUSTOM_MISSING,
    CUSTOM_UNUSED,
    By,
    Charged,
    CostFx,
    PoolCost,
    replacing,
)
from chargeback.shared_costs.sharing import Among, SharedTenant
from chargeback.usage import Metric

SECTIONS = frozenset({"pool_costs", "shared_tenants", "cost_fx"})
"""The sections of documents that are read here."""

_PLACES = ("pool", "tier", "site")


def _amount(value: object) -> int:
    nanos = nanos_from_text(str(value))
    if not 0 <= nanos <= COST_MAX_NANOS:
        msg = f"must be from 0 to a million million a month: {value}"
        raise ValueError(msg)
    return nanos


def _weight(value: object) -> int:
    nanos = nanos_from_text(str(value))
    if nanos <= 0:
        msg = f"must be above zero: {value}; leave out what has no share"
        raise ValueError(msg)
    return nanos


_WeightAsWritten = Annotated[int, BeforeValidator(_weight), WithJsonSchema(ABOVE_ZERO)]
_Weights = dict[Name, _WeightAsWritten]


class CostEntry(Value):
    """A cost as it is written; times are still text, as their meaning hangs on its zone."""

    name: Name
    pool: Name | None = None
    tier: Name | None = None
    site: Name | None = None
    currency: Currency
    per_month: Annotated[int, BeforeValidator(_amount), WithJsonSchema(MONEY_OR_NOTHING)]
    split: Annotated[dict[Metric, _WeightAsWritten], Field(min_length=1)]
    share: By = By.ALLOCATION
    idle: By | Literal["apart"] = "apart"
    custom: _Weights = Field(default_factory=dict)
    charge: Charged = Charged.NOTHING
    time_zone: TimeZone
    valid_from: str
    valid_to: str | None = None
    recorded_at: str
    source: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    replaces: tuple[Name, ...] = ()


class SharedEntry(Value):
    """A shared tenant as it is written, under its name."""

    name: Name
    by: Annotated[str, WithJsonSchema({"enum": list(Among)})] = "cost"
    custom: _Weights = Field(default_factory=dict)


class FxRateEntry(Value):
    """A rate as it is written: what one unit of `from_currency` was worth on a day."""

    day: Annotated[str, WithJsonSchema(DAY)]
    rate: Annotated[str | Annotated[int, Field(strict=True)], WithJsonSchema(ABOVE_ZERO)]
    source: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    recorded_at: Annotated[str | None, WithJsonSchema({"anyOf": [MOMENT, {"type": "null"}]})] = None


class FxEntry(Value):
    """Exchange rates as they are written; rates without a moment have the entry's."""

    name: Name
    from_currency: Currency
    to_currency: Currency
    use_rate_of: FxDay = FxDay.PERIOD_END
    max_age_days: Annotated[int, Field(ge=0, le=AGE_MAX_DAYS, strict=True)] = 0
    time_zone: TimeZone
    recorded_at: Annotated[str, WithJsonSchema(MOMENT)]
    rates: Annotated[tuple[FxRateEntry, ...], Field(min_length=1)]


@dataclass(frozen=True)
class Known:
    """The names that documents may use."""

    pools: Collection[str]
    tiers: Collection[str]
    sites: Collection[str]
    tenants: Collection[str]


@dataclass(frozen=True)
class SharedCosts:
    """What all documents say of shared and idle cost."""

    costs: tuple[PoolCost, ...] = ()
    tenants: tuple[SharedTenant, ...] = ()
    fx: tuple[CostFx, ...] = ()


def load_shared_costs(texts: Mapping[str, str], known: Known) -> SharedCosts:
    """The costs and shared tenants of all files (file name -> text), in order of file and place.

    Sections of others are left to their readers. Raises DocumentError with every problem of every file.
    """
    problems: list[Problem] = []
    reader = _Reader(known, problems)
    for file, text in texts.items():
        document, unreadable = parse(text, file)
        problems += unreadable
        if document is not None:
            said = {problem.path for problem in unreadable}
            found = len(problems)
            reader.add(document)
            problems[found:] = [problem for problem in problems[found:] if problem.path not in said]
    reader.check_together()
    if problems:
        raise DocumentError(problems)
    return SharedCosts(
        tuple(cost for cost, _, _ in reader.costs.values()), tuple(reader.shared.values()), tuple(reader.fx)
    )


class _Reader:
    """All costs of all documents; problems go to the caller's list."""

    def __init__(self, known: Known, problems: list[Problem]) -> None:
        self.known = known
        self.problems = problems
        self.costs: dict[str, tuple[PoolCost, Located, Path]] = {}
        self.shared: dict[str, SharedTenant] = {}
        self._shared_at: list[tuple[SharedTenant, Located, Path]] = []
        self._written: set[str] = set()
        self.fx: list[CostFx] = []

    def add(self, document: Located) -> None:
        """Read one document's sections."""
        self._written |= set(map(str, _mapping(document.tree.get("pool_costs"))))
        for name, (entry, path) in entries(document, "pool_costs", CostEntry, self.problems).items():
            cost = self._cost(document, path, entry)
            if name in self.costs:
                self._add(document, path, f"the pool cost '{name}' stands in two files")
            elif cost is not None:
                self.costs[name] = cost, document, path
        for name, (shared, path) in entries(document, "shared_tenants", SharedEntry, self.problems).items():
            self._shared(document, path, name, shared)

        for way, path in entries(document, "cost_fx", FxEntry, self.problems).values():
            self._rates(document, path, way)

    def _rates(self, document: Located, path: Path, entry: FxEntry) -> None:
        """One way between two currencies; there is one of each, as a cost must have one amount."""
        before, where = len(self.problems), zone(entry.time_zone)
        default = self._moment(document, (*path, "recorded_at"), entry.recorded_at, where)
        rates = [
            {**rate.model_dump(), "recorded_at": self._moment(document, (*path, "rates", i, "recorded_at"), rate.recorded_at, where)
             if rate.recorded_at else default}
            for i, rate in enumerate(entry.rates)
        ]  # fmt: skip
        if len(self.problems) > before:
            return
        body = entry.model_dump(exclude={"time_zone", "recorded_at"}) | {"rates": rates}
        found = checked(document, path, CostFx, body, self.problems)
        if found is None:
            return
        same = [
            one
            for one in self.fx
            if (one.from_currency, one.to_currency) == (found.from_currency, found.to_currency)
        ]
        if same:
            why = f"'{same[0].name}' leads from {found.from_currency} to {found.to_currency} already; put the rates there"
            self._add(document, path, why)
        self.fx.append(found)

    def check_together(self) -> None:
        """What is wrong between costs."""
        for cost, document, path in self.costs.values():
            for i, name in enumerate(cost.replaces):
                why = self._bad_replacement(cost, name)
                if why:
                    self._add(document, (*path, "replaces", i), why)
        for shared, document, path in self._shared_at:
            for tenant in sorted(set(shared.custom) & set(self.shared) - {shared.tenant}):
                why = f"'{tenant}' is a shared tenant too and bears nothing; name others"
                self._add(document, (*path, "custom", tenant), why)
        costs = [cost for cost, _, _ in self.costs.values()]
        for cost, document, path in self.costs.values():
            others = [other for other in replacing(cost, costs) if other.currency != cost.currency]
            for other in others:
                why = (
                    f"is in {cost.currency}, but '{other.name}', which replaces it, is in {other.currency}"
                )
                self._add(document, (*path, "currency"), why)

    def _bad_replacement(self, cost: PoolCost, name: str) -> str:
        if name not in self._written:
            return f"replaces '{name}', and there is no pool cost of that name"
        if name not in self.costs:
            return ""  # It has problems of its own, which are reported.
        other = self.costs[name][0]
        if other.place != cost.place:
            return f"replaces '{name}', which is of {other.place}; it must be of the same"
        if other.recorded_at >= cost.recorded_at:
            return f"replaces '{name}', which was not recorded before it; recorded_at must be later"
        return ""

    def _cost(self, document: Located, path: Path, entry: CostEntry) -> PoolCost | None:
        before = len(self.problems)
        self._check_place(document, path, entry)
        self._check_custom(document, path, entry)
        where: tzinfo = zone(entry.time_zone)
        t_from, t_to, recorded = (
            self._moment(document, (*path, field), getattr(entry, field), where)
            for field in ("valid_from", "valid_to", "recorded_at")
        )
        if t_from is not None and t_to is not None and t_to <= t_from:
            why = f"valid_to {entry.valid_to} must be after valid_from {entry.valid_from}"
            self._add(document, (*path, "valid_to"), why)
        if len(self.problems) > before or t_from is None or recorded is None:
            return None
        return PoolCost(
            **entry.model_dump(exclude={"per_month", "idle", "time_zone", "valid_from", "valid_to", "recorded_at"}),
            month_nanos=entry.per_month, idle=None if entry.idle == "apart" else entry.idle,
            valid_from=t_from, valid_to=t_to, recorded_at=recorded,
        )  # fmt: skip

    def _check_place(self, document: Located, path: Path, entry: CostEntry) -> None:
        named = [(kind, getattr(entry, kind)) for kind in _PLACES if getattr(entry, kind) is not None]
        if len(named) != 1:
            found = " and ".join(kind for kind, _ in named) or "none"
            self._add(document, path, f"must be of exactly one of pool, tier and site; it names {found}")
        for kind, name in named:
            there: Collection[str] = getattr(self.known, f"{kind}s")
            if name not in there:
                self._add(
                    document, (*path, kind), f"there is no {kind} '{name}'; {known_names(name, there)}"
                )

    def _check_custom(self, document: Located, path: Path, entry: CostEntry) -> None:
        needed = By.CUSTOM in {entry.share, entry.idle}
        if needed and not entry.custom:
            self._add(document, path, CUSTOM_MISSING)
        if entry.custom and not needed:
            self._add(document, (*path, "custom"), CUSTOM_UNUSED)
        self._check_tenants(document, path, entry.custom)

    def _check_tenants(self, document: Located, path: Path, custom: Mapping[str, int]) -> None:
        for tenant in custom:
            if tenant not in self.known.tenants:
                why = f"there is no tenant '{tenant}'; {known_names(tenant, self.known.tenants)}"
                self._add(document, (*path, "custom", tenant), why)

    def _shared(self, document: Located, path: Path, name: str, entry: SharedEntry) -> None:
        body = {"tenant": name, "by": entry.by, "custom": entry.custom}
        if name not in self.known.tenants:
            why = f"there is no tenant '{name}'; {known_names(name, self.known.tenants)}"
            self._add(document, path, why)
        if name in self.shared:
            self._add(document, path, f"the shared tenant '{name}' stands in two files")
        if name in entry.custom:
            self._add(
                document, (*path, "custom", name), "a shared tenant cannot bear its own cost; remove it"
            )
        self._check_tenants(document, path, entry.custom)
        found = checked(document, path, SharedTenant, body, self.problems)
        if found is not None:
            self.shared[name] = found
            self._shared_at.append((found, document, path))

    def _moment(self, document: Located, path: Path, text: str | None, where: tzinfo) -> int | None:
        if text is None:
            return None
        try:
            return instant(text, where)
        except ValueError as error:
            self.problems.append(document.problem(path, str(error), text))
            return None

    def _add(self, document: Located, path: Path, message: str) -> None:
        self.problems.append(document.problem(path, message))


def _mapping(content: Any) -> Iterator[Any]:
    return iter(content if isinstance(content, dict) else {})
