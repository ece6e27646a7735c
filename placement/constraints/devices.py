"""A machine that asks for devices (GPU, PCI, vGPU) gets all of them whole, of one model, on its host.

Where a device is inside the host, on which NUMA node, is not looked at.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from catalog.base import Value
from catalog.frozen import FrozenMapping
from catalog.resources import Amount
from placement.arrays import Bool, Int64
from placement.constraint import Constraint
from placement.grouping import in_words
from placement.kernel import Kernel
from placement.matrix import NO_LIMIT
from placement.model import Model
from placement.options import entries, in_each_slot, meeting, misnamed, post_options, presence, twice
from placement.placed import Placed
from placement.problem import PlacementProblem
from placement.seats import Seats
from policies.decisions import Rejection

DeviceModel = Annotated[str, Field(min_length=1)]


class Ask(Value):
    """Devices for one request."""

    count: Annotated[int, Field(ge=1, le=1024, strict=True)] = 1
    """Whole devices, or whole slices of a vGPU profile, which is then a model of its own."""
    models: Annotated[tuple[DeviceModel, ...], Field(min_length=1)]
    """Any one of these will do; none is preferred."""


class Devices(Constraint):
    """Devices are never overcommitted, and one that is given is given to one machine."""

    kind: Literal["devices"] = "devices"
    hosts: FrozenMapping[str, FrozenMapping[DeviceModel, Amount]]
    """Host -> model -> how many are free; a host that is not here has none."""
    requests: FrozenMapping[str, Ask]
    """By id or by group; who is not here gets none."""

    def fact(self, problem: PlacementProblem) -> str:
        """Who needs how many of what."""
        asks = [
            f"{name} needs {ask.count} {' or '.join(ask.models)}" for name, ask in self.requests.items()
        ]
        return in_words(asks) or "no request needs a device"

    def problems(self, problem: PlacementProblem) -> Iterator[str]:
        """Unknown names, and models that are on no host."""
        yield from twice(problem, Devices)
        if problem.hosts is None:
            yield "hosts: devices are in hosts, and this problem places on pools; give it hosts"
            return
        for host in self.hosts:
            if host not in problem.provider_positions:
                yield f"hosts.{host}: there is no such host"
        yield from misnamed(problem, "requests", self.requests)
        known = self._models()
        for name, ask in self.requests.items():
            for n, model in enumerate(ask.models):
                if model not in known:
                    there = ", ".join(known) or "none"
                    yield f"requests.{name}.models[{n}]: no host has a device '{model}'; there are {there}"

    def labels(self, problem: PlacementProblem) -> Int64:
        """[R, 1 + C] how many devices, and which models will do."""
        return np.column_stack(self._asked(problem)).astype(np.int64)

    def choice_name(self, problem: PlacementProblem, choice: int) -> str:
        """The model that is taken."""
        return self._models()[choice]

    def choice_count(self, problem: PlacementProblem) -> int:
        """Every model."""
        return len(self._models())

    def post(self, model: Model) -> None:
        """Columns for each model of a host, and a packing row for each of them."""
        free, one = self._free(model.problem), model.classes.one
        count, suits = (asked[one] for asked in self._asked(model.problem))
        most = suits[:, None, :] * (free[None] // np.maximum(count, 1)[:, None, None])
        columns = post_options(model, "devices", count > 0, most)
        g, v, c = np.nonzero(columns >= 0)
        lower = np.full(free.size, -NO_LIMIT, dtype=np.int64)
        for there in presence(model.problem, one):
            row = v * free.shape[1] + c
            model.rows(row, columns[g, v, c], count[g] * there[g], lower, free.reshape(-1))

    def admit(self, kernel: Kernel) -> None:
        """The same, each model of a host as a store that it alone reaches; over time, as if everyone stayed for good."""
        free, one = self._free(kernel.problem), kernel.classes.one
        count, suits = (asked[one] for asked in self._asked(kernel.problem))
        v, c = free.shape
        reach = np.repeat(np.eye(v, dtype=np.bool_), c, axis=1)
        models, suits_it = np.tile(np.arange(c), v), suits.astype(np.bool_)
        kernel.storage("devices", count[:, None], reach, suits_it, free.reshape(-1, 1), models)

    def check(self, problem: PlacementProblem, seats: Seats) -> Iterator[str]:
        """Each request without devices that suit it, and each model of which a host gives more than it has."""
        asks, models, chosen = entries(problem, self.requests), self._models(), seats.choice("devices")
        taken: dict[int, tuple[str, str, int]] = {}
        for i, v in enumerate(seats.provider_of.tolist()):
            ask, choice = asks[i], -1 if chosen is None else int(chosen[i])
            model = models[choice] if choice >= 0 else "no device"
            if v < 0 or (ask is None and choice < 0):
                continue
            if ask is None or model not in ask.models:
                wanted = "no device" if ask is None else " or ".join(ask.models)
                yield f"{problem.request_ids[i]}: takes {model}, asks for {wanted}"
            else:
                taken[i] = problem.providers.ids[v], model, ask.count
        for when, there in in_each_slot(problem):
            used: dict[tuple[str, str], int] = {}
            for host, model, count in (taken[i] for i in there if i in taken):
                used[host, model] = used.get((host, model), 0) + count
            for (host, model), count in sorted(used.items()):
                has = self.hosts.get(host, {}).get(model, 0)
                if count > has:
                    yield f"{host}: {count} {model} is more than the {has} that are free{when}"

    def blocked(self, after: Placed, request: int) -> Bool | None:
        """Every host that has not enough of any one model that suits."""
        count, suits = self._asked(after.problem)
        if not count[request]:
            return None
        room = (self._left(after, request) >= count[request]) & (suits[request] > 0)
        blocked: Bool = ~room.any(axis=1)
        return blocked

    def why(self, after: Placed, request: int, provider: int) -> Iterator[Rejection]:
        """Which models are there, and how many of each are free."""
        problem, models = after.problem, self._models()
        ask, host = entries(problem, self.requests)[request], problem.providers.ids[provider]
        assert ask is not None, "only requests that ask for devices are blocked"
        left = dict(zip(models, self._left(after, request)[provider].tolist(), strict=True))
        of_host = {name: left[name] for name, has in sorted(self.hosts.get(host, {}).items()) if has}
        has = ", ".join(f"{max(0, n)} {name} free" for name, n in of_host.items()) or "no devices"
        wanted = f"{ask.count} {' or '.join(ask.models)}"
        suitable = [name for name in ask.models if name in of_host]
        yield Rejection(
            rule_id="devices",
            pool=problem.pool_ids[problem.providers.pool_of[provider]],
            dimension="devices",
            limit=", ".join(f"{max(0, of_host[n])} {n}" for n in suitable) or "none",
            need=wanted,
            why=f"{wanted} would have to be free on {host}, which has {has}",
            remedy=f"free {' or '.join(suitable)} on {host}, or accept another model"
            if suitable
            else "accept a model that the host has, or choose another pool",
        )

    def _models(self) -> tuple[str, ...]:
        return tuple(sorted({model for host in self.hosts.values() for model in host}))

    def _free(self, problem: PlacementProblem) -> Int64:
        """[V, C]."""
        hosts = [self.hosts.get(host, {}) for host in problem.providers.ids]
        free = [[has.get(model, 0) for model in self._models()] for has in hosts]
        return np.array(free, dtype=np.int64).reshape(len(hosts), -1)

    def _asked(self, problem: PlacementProblem) -> tuple[Int64, Int64]:
        """[R] how many, 0 for none; [R, C] 1 where the model will do."""
        asks, models = entries(problem, self.requests), self._models()
        count = [0 if ask is None else ask.count for ask in asks]
        suits = [[int(ask is not None and model in ask.models) for model in models] for ask in asks]
        return np.array(count, dtype=np.int64), np.array(suits, dtype=np.int64).reshape(len(asks), -1)

    def _left(self, after: Placed, request: int) -> Int64:
        """[V, C] what is free while the request is there, its own devices not counted."""
        left, chosen = self._free(after.problem), after.choices.get("devices")
        if chosen is None:
            return left
        free, count = left, self._asked(after.problem)[0]
        counted = (after.provider_of >= 0) & (chosen >= 0)
        counted[request] = False
        for there in meeting(after.problem, request):
            who, now = np.flatnonzero(counted & there), free.copy()
            np.subtract.at(now, (after.provider_of[who], chosen[who]), count[who])
            left = np.minimum(left, now)
        return left
