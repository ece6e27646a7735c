"""A document of moves in a file -> columns and names, or everything that is wrong with it."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from catalog.documents import checked
from catalog.problems import Problem
from catalog.wording import known_names
from placement.arrays import Int64
from placement.documents.texts import InvalidDocument, Tree, parsed, told
from placement.problem import InvalidProblem
from placement.waves.problem import NOWHERE, Carriage, Mode, MoveProblem, fits_together
from tierwise.errors import InvalidInput
from tierwise.planner.waves_form import AT_ONCE, Machine, Moves
from tierwise.usecases.place_file import read_bytes

MODES = {"live": Mode.LIVE, "switch": Mode.SWITCH, "cold": Mode.COLD}


@dataclass(frozen=True)
class Asked:
    """A document as columns; its names are where the columns' positions lead."""

    form: Moves
    problem: MoveProblem
    carriage: Carriage
    pools: tuple[str, ...]
    sites: tuple[str, ...]
    endpoints: tuple[str, ...]
    applications: tuple[str, ...]

    @cached_property
    def machines(self) -> tuple[str, ...]:
        """Names by position."""
        return tuple(machine.id for machine in self.form.machines)

    @cached_property
    def providers(self) -> tuple[str, ...]:
        """Names by position."""
        return tuple(provider.id for provider in self.form.providers)

    @property
    def downtime_s(self) -> Int64:
        """[A] the limit of each application, -1 for none."""
        limits = [self.form.applications.get(name) for name in self.applications]
        return _ints([-1 if one is None or one.downtime_s is None else one.downtime_s for one in limits])


def load(file: Path) -> Asked:
    """What a file asks. Raises InvalidInput with everything that is wrong in its details."""
    try:
        return read(read_bytes(file))
    except InvalidDocument as error:
        count = len(error.problems)
        msg = f"{file}: {count} {'problem' if count == 1 else 'problems'}; nothing was planned"
        raise InvalidInput(msg, details=error.problems) from None


def read(text: bytes) -> Asked:
    """What a document asks. Raises InvalidDocument: first what is not in form, then what does not hold."""
    tree = parsed(text)
    found: list[Problem] = []
    form = checked(Tree("", tree, {}), (), Moves, tree, found)
    if form is None or found:
        raise InvalidDocument([told(one) for one in found])
    problems = list(_mistakes(form))
    if problems:
        raise InvalidDocument(problems)
    try:
        asked = _columns(form)
        fits_together(asked.problem, asked.carriage)
    except InvalidProblem as error:
        raise InvalidDocument([_in_names(str(error), form)]) from None
    return asked


def _in_names(text: str, form: Moves) -> str:
    """What only the columns refuse is about sites without a link, or sums that are too large."""
    if not text.startswith("link_mib_s"):
        return text
    sites = _sorted_names(provider.site for provider in form.providers)
    numbers = [int(word) for word in text.replace(",", " ").split() if word.isdecimal()]
    names = " and ".join(f"'{sites[n]}'" for n in numbers[:2])
    return f"links: machines move between sites {names}, which have no link; add one with its mib_s"


def _mistakes(form: Moves) -> Iterator[str]:
    providers = [provider.id for provider in form.providers]
    machines = [machine.id for machine in form.machines]
    pools = _sorted_names(provider.pool or provider.id for provider in form.providers)
    endpoints = _sorted_names(_endpoint(form, n) for n in range(len(providers)))
    apps = _sorted_names(machine.application or "" for machine in form.machines)
    yield from _twice("providers", providers)
    yield from _twice("machines", machines)
    for n, provider in enumerate(form.providers):
        yield from _unknown(
            f"providers[{n}].capacity", "resource class", provider.capacity, form.resource_classes
        )
        yield from _unknown(
            f"providers[{n}].largest", "resource class", provider.largest, form.resource_classes
        )
    known = dict.fromkeys(providers)
    outside = {provider.id for provider in form.providers if provider.outside}
    for n, machine in enumerate(form.machines):
        yield from _unknown(
            f"machines[{n}].resources", "resource class", machine.resources, form.resource_classes
        )
        yield from _ends(f"machines[{n}]", machine, known, outside)
    inside = set(machines)
    for name, group in form.apart.items():
        yield from (f"apart.{name}: '{m}' stands in it twice; keep one" for m in _doubles(group))
        for m in group:
            if m not in inside:
                yield f"apart.{name}: there is no machine '{m}'; {known_names(m, machines)}"
    yield from _unknown("losses", "pool", form.losses, pools)
    yield from _unknown("at_once", "endpoint", form.at_once, endpoints)
    yield from _unknown("applications", "application", form.applications, apps)
    sites = _sorted_names(provider.site for provider in form.providers)
    for n, link in enumerate(form.links):
        yield from _unknown(f"links[{n}].between", "site", link.between, sites)
    pairs = [str(sorted(link.between)) for link in form.links]
    yield from (f"links: {pair} stands twice; keep one" for pair in _doubles(pairs))


def _ends(
    path: str, machine: Machine, providers: Collection[str], outside: Collection[str]
) -> Iterator[str]:
    for field, name in (("from", machine.from_), ("to", machine.to)):
        if name is not None and name not in providers:
            yield f"{path}.{field}: there is no provider '{name}'; {known_names(name, providers)}"
    if machine.to in outside and machine.from_ != machine.to:
        yield f"{path}.to: '{machine.to}' is outside, where nothing comes to; name another provider, or leave 'to' out"
    if machine.from_ is None and machine.to is None:
        yield f"{path}: '{machine.id}' is neither anywhere nor shall be; give it from, to or both"


def _unknown(path: str, what: str, names: Iterable[str], known: Sequence[str]) -> Iterator[str]:
    for name in names:
        if name not in known:
            yield f"{path}: there is no {what} '{name}'; {known_names(name, known)}"


def _twice(path: str, names: Sequence[str]) -> Iterator[str]:
    for name in _doubles(names):
        yield f"{path}: '{name}' stands twice; give each a name of its own"


def _doubles(names: Sequence[str]) -> list[str]:
    seen: set[str] = set()
    return list(dict.fromkeys(name for name in names if name in seen or seen.add(name)))  # type: ignore[func-returns-value] # add gives None


def _columns(form: Moves) -> Asked:
    pool_names = [provider.pool or provider.id for provider in form.providers]
    pools, endpoints = (
        _sorted_names(pool_names),
        _sorted_names(_endpoint(form, n) for n in range(len(pool_names))),
    )
    sites = _sorted_names(provider.site for provider in form.providers)
    storages = _sorted_names(provider.storage or "" for provider in form.providers)
    apps = _sorted_names(machine.application or "" for machine in form.machines)
    at = {provider.id: v for v, provider in enumerate(form.providers)} | {None: NOWHERE}
    of = {machine.id: m for m, machine in enumerate(form.machines)}
    capacity = _amounts(form, [provider.capacity for provider in form.providers])
    problem = MoveProblem(
        demand=_amounts(form, [machine.resources for machine in form.machines]),
        before=_ints([at[machine.from_] for machine in form.machines]),
        after=_ints([at[machine.to] for machine in form.machines]),
        capacity=capacity,
        largest=_amounts(form, [{} if p.outside else {**p.capacity, **p.largest} for p in form.providers]),
        pool_of=_ints([pools.index(name) for name in pool_names]),
        losses=_ints([form.losses.get(name, 0) for name in pools]),
        app_of=_ints([-1 if m.application is None else apps.index(m.application) for m in form.machines]),
        apart=tuple(_ints([of[name] for name in group]) for group in form.apart.values()),
    )
    endpoint_of = [endpoints.index(_endpoint(form, v)) for v in range(len(pool_names))]
    carriage = Carriage(
        site_of=_ints([sites.index(provider.site) for provider in form.providers]),
        endpoint_of=_ints(endpoint_of),
        storage_of=_ints([-1 if p.storage is None else storages.index(p.storage) for p in form.providers]),
        copy_gib=_ints([_disk_gib(machine) for machine in form.machines]),
        mode=_ints([MODES[machine.mode] for machine in form.machines]),
        switch_s=_ints([form.switch_s if m.switch_s is None else m.switch_s for m in form.machines]),
        keeps_copy=np.array([bool(m.keeps_copy) for m in form.machines], dtype=np.bool_),
        keeps_between=np.array([m.keeps_copy is None for m in form.machines], dtype=np.bool_),
        at_once=_ints([form.at_once.get(name, AT_ONCE) for name in endpoints]),
        stream_mib_s=form.stream_mib_s,
        passes=form.passes,
        provider_mib_s=_ints([provider.mib_s or 0 for provider in form.providers]),
        link_mib_s={_pair(link.between, sites.index): link.mib_s for link in form.links},
    )
    return Asked(form, problem, carriage, pools, sites, endpoints, apps)


def _disk_gib(machine: Machine) -> int:
    return machine.resources.get("disk_gib", 0) if machine.disk_gib is None else machine.disk_gib


def _pair(between: Sequence[str], index: Callable[[str], int]) -> tuple[int, int]:
    a, b = sorted(map(index, between))
    return a, b


def _endpoint(form: Moves, v: int) -> str:
    provider = form.providers[v]
    return provider.endpoint or provider.pool or provider.id


def _amounts(form: Moves, rows: Sequence[Mapping[str, int]]) -> Int64:
    found = [[row.get(name, 0) for name in form.resource_classes] for row in rows]
    return _ints(found).reshape(-1, len(form.resource_classes))


def _ints(values: object) -> Int64:
    return np.array(values, dtype=np.int64)


def _sorted_names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if name}))
