"""What keeps rates from giving exactly one price for everything at each moment."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, NamedTuple

from chargeback.instants import END_OF_TIME_S, utc_text
from chargeback.usage import Metric

if TYPE_CHECKING:
    from chargeback.rates import Rate


class Breach(NamedTuple):
    """Why rates do not make a card together; `rate` is the one to look at, None for the card."""

    rate: "Rate | None"
    message: str


class Group(NamedTuple):
    """What rates must share so that only one of them can be in force."""

    tier: str
    metric_key: str
    component: str
    where: tuple[tuple[str, str], ...]

    @property
    def words(self) -> str:
        """``vcpu of tier-1``, with component and selector where there are any."""
        parts = [f"{self.metric_key} of {self.tier}"]
        parts += [f"component {self.component}"] if self.component else []
        parts += [f"where {', '.join(f'{key}={value}' for key, value in self.where)}"] if self.where else []
        return ", ".join(parts)


def breaches(rates: Sequence["Rate"]) -> list[Breach]:
    """Everything that keeps these rates from giving exactly one price at each moment.

    Two rates of one tier, metric, component and selector may share time only where the one recorded
    later `replaces` the other; two selectors of which a machine could match both must contain one
    another. Without a component there is no gap between the first and the last rate, and each tier
    has a rate for every metric that any tier has: what is free says so with the price 0.
    """
    return [*_bad_names(rates), *overlaps(rates), *_ambiguous(rates), *gaps(rates)]


def overlaps(rates: Sequence["Rate"]) -> list[Breach]:
    """The pairs of rates that would both be in force at some moment, at some state of knowledge."""
    found: dict[tuple[str, str], Breach] = {}
    for key, group in groups(rates, END_OF_TIME_S).items():
        for known_at in sorted({rate.recorded_at for rate in group}):
            known = [rate for rate in group if rate.recorded_at <= known_at]
            for t_from, _, holders in pieces(known):
                for one, other in combinations(holders, 2):
                    found.setdefault((one.id, other.id), Breach(other, _overlap(key, one, other, t_from)))
    return list(found.values())


def _ambiguous(rates: Sequence["Rate"]) -> Iterator[Breach]:
    """Pairs of rates whose selectors a machine could both match, neither the more special one."""
    by_thing: dict[tuple[str, str, str], list[Rate]] = defaultdict(list)
    for rate in rates:
        by_thing[rate.tier, rate.metric_key, rate.component].append(rate)
    for group in by_thing.values():
        for one, other in combinations([rate for rate in group if rate.where], 2):
            share = one.valid_from < other.end and other.valid_from < one.end
            if share and not (_apart(one.where, other.where) or _nested(one.where, other.where)):
                yield Breach(
                    other,
                    f"a machine can match 'where' of '{one.id}' and of '{other.id}' ({one.metric} of {one.tier}); "
                    "give one all labels of the other, or each its own component",
                )


def _apart(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return any(key in other and other[key] != value for key, value in one.items())


def _nested(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return one.items() <= other.items() or other.items() <= one.items()


def gaps(rates: Sequence["Rate"]) -> list[Breach]:
    """Holes between the rates of a tier and metric, and metrics that only some tiers have."""
    base = {key: group for key, group in groups(rates, END_OF_TIME_S).items() if not key.component}
    general = {(key.tier, key.metric_key) for key in base if not key.where}
    found = [
        breach
        for key, group in base.items()
        if not (key.where and (key.tier, key.metric_key) in general)
        for breach in _holes(key, group)
    ]
    names = sorted({key.metric_key for key in base}, key=metric_order)
    for tier in sorted({key.tier for key in base}):
        missing = [
            name for name in names if all((key.tier, key.metric_key) != (tier, name) for key in base)
        ]
        if missing:
            message = (
                f"{tier} has no rate for {', '.join(missing)}, which other tiers have; "
                "add one, with price 0 if it is free"
            )
            found.append(Breach(None, message))
    return found


def _holes(key: Group, group: Sequence["Rate"]) -> Iterator[Breach]:
    for t_from, t_to, holders in pieces(group):
        if not holders:
            after = min(group, key=lambda rate: (rate.valid_from < t_to, rate.valid_from))
            where = f" {key.words.partition(', ')[2]}" if key.where else ""
            message = (
                f"{key.tier} has no rate for {key.metric_key}{where} from {utc_text(t_from)} to {utc_text(t_to)}; "
                "close the gap, or say price 0 for that time"
            )
            yield Breach(after, message)


def metric_order(metric_key: str) -> tuple[int, str]:
    """Where a metric, or a metric with its basis, stands among others."""
    name, _, basis = metric_key.partition(":")
    return list(Metric).index(Metric(name)), basis


def _bad_names(rates: Sequence["Rate"]) -> Iterator[Breach]:
    by_id: dict[str, Rate] = {}
    for rate in rates:
        if rate.id in by_id:
            yield Breach(rate, f"the id '{rate.id}' stands twice; each rate needs its own")
        by_id.setdefault(rate.id, rate)
    for rate in rates:
        for name in rate.replaces:
            wrong = _bad_replacement(rate, by_id.get(name), name)
            if wrong:
                yield Breach(rate, wrong)


def _bad_replacement(rate: "Rate", other: "Rate | None", name: str) -> str:
    if other is None:
        return f"replaces '{name}', and there is no rate of that id"
    if group_of(other) != group_of(rate):
        return f"replaces '{name}', which prices {group_of(other).words}; it must price the same"
    if other.recorded_at >= rate.recorded_at:
        return f"replaces '{name}', which was not recorded before it; recorded_at must be later"
    return ""


def group_of(rate: "Rate") -> Group:
    """The group of a rate."""
    return Group(rate.tier, rate.metric_key, rate.component, tuple(sorted(rate.where.items())))


def groups(rates: Iterable["Rate"], known_at: int) -> dict[Group, list["Rate"]]:
    """The rates known at a moment, by what they price."""
    found = defaultdict(list)
    for rate in rates:
        if rate.recorded_at <= known_at:
            found[group_of(rate)].append(rate)
    return dict(found)


def pieces(rates: Sequence["Rate"]) -> Iterator[tuple[int, int, list["Rate"]]]:
    """Between the first and the last moment of rates of one group: who is in force when."""
    older = _replaced(rates)
    moments = sorted({moment for rate in rates for moment in (rate.valid_from, rate.end)})
    for t_from, t_to in pairwise(moments):
        valid = [rate for rate in rates if rate.valid_from <= t_from and t_to <= rate.end]
        gone = {name for rate in valid for name in older[rate.id]}
        yield t_from, t_to, [rate for rate in valid if rate.id not in gone]


def _replaced(rates: Sequence["Rate"]) -> dict[str, set[str]]:
    """Per rate, the ids of all that it replaces, directly or through others."""
    older: dict[str, set[str]] = {}
    for rate in sorted(rates, key=lambda rate: rate.recorded_at):
        direct = set(rate.replaces)
        older[rate.id] = direct.union(*(older.get(name, set()) for name in direct))
    return older


def _overlap(key: Group, one: "Rate", other: "Rate", t_from: int) -> str:
    return (
        f"'{other.id}' overlaps '{one.id}' from {utc_text(t_from)} ({key.words}); end one "
        f"with valid_to, or record the later one with 'replaces: [{one.id}]'"
    )
