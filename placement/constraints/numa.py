"""A machine that asks for NUMA nodes sits on that many nodes of its host, with an even share of what it takes on each."""

from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field

from catalog.base import Value
from catalog.frozen import FrozenMapping
from catalog.resources import Amount
from catalog.units import amount_of, format_amount
from catalog.wording import counted
from placement.arrays import Bool, Int64
from placement.constraint import Constraint
from placement.kernel import Kernel
from placement.matrix import NO_LIMIT
from placement.model import Model
from placement.options import entries, in_each_slot, meeting, misnamed, needs, post_options, presence, twice
from placement.placed import Placed
from placement.problem import PlacementProblem
from placement.seats import Seats
from policies.decisions import Rejection

_MOST_NODES = 8
"""Sets of nodes are listed, and 2**8 of them are many already."""


class Node(Value):
    """What a NUMA node has free."""

    free: FrozenMapping[str, Amount]
    """Resource class -> amount with overcommit applied, as in `Hosts.free`; what is not here is not kept by node."""
    pinned_free: Amount = 0
    """CPUs that can be dedicated to one machine each; no part of ``free``."""


class OnNodes(Value):
    """How a request sits on nodes."""

    nodes: Annotated[int, Field(ge=1, le=_MOST_NODES, strict=True)] = 1
    """It is split evenly over this many; where that does not divide, each gives the share rounded up."""
    pinned: Annotated[bool, Field(strict=True)] = False
    """Its vCPUs are dedicated: they take `Node.pinned_free` one for one, and nothing of the node's free vCPUs."""


class Numa(Constraint):
    """Requests that are not named here sit on no node in particular, and are not counted on any."""

    kind: Literal["numa"] = "numa"
    hosts: FrozenMapping[str, Annotated[tuple[Node, ...], Field(min_length=1, max_length=_MOST_NODES)]]
    """Host -> its nodes; hosts that are not here take no request that asks for nodes."""
    requests: FrozenMapping[str, OnNodes]
    """By id or by group."""

    def fact(self, problem: PlacementProblem) -> str:
        """Who sits on how many nodes."""
        return needs(self.requests, _needs, "NUMA nodes")

    def problems(self, problem: PlacementProblem) -> Iterator[str]:
        """Unknown names, nodes that keep different resource classes, and pinning where nobody has vCPUs."""
        yield from twice(problem, Numa)
        if problem.hosts is None:
            yield "hosts: nodes are inside hosts, and this problem places on pools; give it hosts"
            return
        kept = set(self._kept(problem))
        for host, nodes in self.hosts.items():
            if host not in problem.provider_positions:
                yield f"hosts.{host}: there is no such host"
            for n, node in enumerate(nodes):
                yield from _wrong_node(problem, f"hosts.{host}[{n}].free", node, kept)
        yield from misnamed(problem, "requests", self.requests)
        if "vcpu" not in problem.resource_classes:
            pinned = [name for name, shape in self.requests.items() if shape.pinned]
            yield from (f"requests.{name}.pinned: the problem does not count vcpu" for name in pinned)

    def labels(self, problem: PlacementProblem) -> Int64:
        """[R, 2] how many nodes, and whether pinned."""
        shapes = entries(problem, self.requests)
        rows = [(0, 0) if shape is None else (shape.nodes, int(shape.pinned)) for shape in shapes]
        return np.array(rows, dtype=np.int64).reshape(-1, 2)

    def choice_name(self, problem: PlacementProblem, choice: int) -> str:
        """Nodes by number, ``0+1``; the choice is their bit mask."""
        return "+".join(str(n) for n in _nodes_in(choice)) or "none"

    def choice_count(self, problem: PlacementProblem) -> int:
        """Every mask of the largest host."""
        return int(2 ** max((len(nodes) for nodes in self.hosts.values()), default=0))

    def post(self, model: Model) -> None:
        """Columns for each set of nodes, and a packing row for each node and what it keeps."""
        data, one = self._data(model.problem), model.classes.one
        nodes, need = data.nodes[one], data.need[one]
        inside = _bits(data.there.shape[1])
        columns = post_options(model, "numa", nodes > 0, _most(data, nodes, need, inside))
        g, v, c = np.nonzero(columns >= 0)
        entry, node = np.nonzero(inside[c])
        g, v, column = g[entry], v[entry], columns[g, v, c][entry]
        row = v * data.there.shape[1] + node
        for there in presence(model.problem, one):
            for q in range(need.shape[1]):
                limit = data.free[:, :, q].reshape(-1)
                lower = np.full(len(limit), -NO_LIMIT, dtype=np.int64)
                model.rows(row, column, need[g, q] * there[g], lower, limit)

    def admit(self, kernel: Kernel) -> None:
        """The same; over time, as if everyone stayed for good, since the primitive knows no time."""
        data, one = self._data(kernel.problem), kernel.classes.one
        able = data.nodes[one][:, None] <= data.there.sum(axis=1)[None, :]
        kernel.forbid(~able)
        # A node that is not there must not take even who needs nothing: each takes one of as many seats as there are requests.
        seats = (data.there * len(data.nodes)).astype(np.int64)
        need = np.column_stack([data.need[one], data.nodes[one] > 0]).astype(np.int64)
        kernel.numa(need, data.nodes[one], np.concatenate([data.free, seats[:, :, None]], axis=2))

    def check(self, problem: PlacementProblem, seats: Seats) -> Iterator[str]:
        """Each request on a wrong set of nodes, and each node that gives more than it has."""
        shapes, masks = entries(problem, self.requests), seats.choice("numa")
        sitting: dict[int, tuple[str, list[int]]] = {}
        for i, v in enumerate(seats.provider_of.tolist()):
            chosen = _nodes_in(-1 if masks is None else int(masks[i]))
            host = problem.providers.ids[v]
            wanted = 0 if v < 0 or shapes[i] is None else _of(shapes[i]).nodes
            if v < 0 or (not wanted and not chosen):
                continue
            if len(chosen) != wanted or max(chosen) >= len(self.hosts.get(host, ())):
                on = "+".join(map(str, chosen)) or "none"
                there = len(self.hosts.get(host, ()))
                yield f"{problem.request_ids[i]}: on node {on} of {host} ({there} nodes), needs {wanted}"
            else:
                sitting[i] = host, chosen
        yield from self._overfull(problem, sitting)

    def blocked(self, after: Placed, request: int) -> Bool | None:
        """Every host with fewer nodes that have room than the request needs."""
        data = self._data(after.problem)
        if not data.nodes[request]:
            return None
        room = (data.need[request] <= self._left(after, request, data)).all(axis=2) & data.there
        blocked: Bool = room.sum(axis=1) < data.nodes[request]
        return blocked

    def why(self, after: Placed, request: int, provider: int) -> Iterator[Rejection]:
        """One reason for each thing of which too few nodes have enough, or that no node has all of them at once."""
        problem, data = after.problem, self._data(after.problem)
        nodes, need = int(data.nodes[request]), data.need[request]
        host, count = problem.providers.ids[provider], int(data.there[provider].sum())
        pool = problem.pool_ids[problem.providers.pool_of[provider]]
        each = "on one NUMA node" if nodes == 1 else f"on each of {nodes} NUMA nodes"
        if count < nodes:
            yield Rejection(
                rule_id="numa",
                pool=pool,
                dimension="numa",
                limit=f"{count} nodes",
                need=f"{nodes} nodes",
                why=f"{host} has {count or 'no'} NUMA nodes to sit on, {nodes} are needed",
                remedy="order fewer nodes, or choose a pool whose hosts have more",
            )
            return
        left = self._left(after, request, data)[provider, :count]
        for q, name in enumerate([*self._kept(problem), "pinned"]):
            # The n-th best node is the one that stands in the way.
            limit = max(0, int(np.sort(left[:, q])[-nodes]))
            if need[q] > limit:
                yield _short(pool, host, name, int(need[q]), limit, each)
        if all((need[q] <= left[:, q]).sum() >= nodes for q in range(len(need))):
            yield Rejection(
                rule_id="numa",
                pool=pool,
                dimension="numa",
                limit=f"{int((need <= left).all(axis=1).sum())} nodes",
                need=f"{nodes} nodes",
                why=f"what the machine takes {each} of {host} is free there, but not on the same nodes",
                remedy=f"move a machine to another node of {host}, or order a smaller size",
            )

    def _kept(self, problem: PlacementProblem) -> tuple[str, ...]:
        kept = {name for nodes in self.hosts.values() for node in nodes for name in node.free}
        return tuple(name for name in problem.resource_classes if name in kept)

    def _data(self, problem: PlacementProblem) -> "_Data":
        kept = self._kept(problem)
        labels = self.labels(problem)
        share = -(-problem.demand // np.maximum(labels[:, :1], 1)) * (labels[:, :1] > 0)
        need = np.zeros((len(share), len(kept) + 1), dtype=np.int64)
        pinned = labels[:, 1] > 0
        for q, name in enumerate(kept):
            amount = share[:, problem.resource_classes.index(name)]
            need[:, q] = np.where(pinned, 0, amount) if name == "vcpu" else amount
        if pinned.any():
            need[pinned, -1] = share[pinned, problem.resource_classes.index("vcpu")]
        width = max((len(nodes) for nodes in self.hosts.values()), default=0)
        free = np.zeros((len(problem.providers.ids), width, len(kept) + 1), dtype=np.int64)
        there = np.zeros(free.shape[:2], dtype=np.bool_)
        for host, nodes in self.hosts.items():
            v = problem.provider_positions[host]
            there[v, : len(nodes)] = True
            free[v, : len(nodes)] = [[*(n.free[name] for name in kept), n.pinned_free] for n in nodes]
        return _Data(labels[:, 0], need, free, there)

    def _left(self, after: Placed, request: int, data: "_Data") -> Int64:
        """[V, N, Q] what is left while the request is there, itself not counted."""
        left, masks = data.free.copy(), after.choices.get("numa")
        if masks is None:
            return left
        counted = (after.provider_of >= 0) & (masks > 0) & (data.nodes > 0)
        counted[request] = False
        inside = _bits(data.there.shape[1])
        for there in meeting(after.problem, request):
            who = np.flatnonzero(counted & there)
            entry, node = np.nonzero(inside[masks[who]])
            now = data.free.copy()
            np.subtract.at(now, (after.provider_of[who[entry]], node), data.need[who[entry]])
            left = np.minimum(left, now)
        return left

    def _overfull(
        self, problem: PlacementProblem, sitting: dict[int, tuple[str, list[int]]]
    ) -> Iterator[str]:
        shapes, demand = entries(problem, self.requests), problem.demand.tolist()
        for when, there in in_each_slot(problem):
            used: dict[tuple[str, int, str], int] = {}
            for i in set(there) & set(sitting):
                host, chosen = sitting[i]
                for name, amount in zip(problem.resource_classes, demand[i], strict=True):
                    pinned = name == "vcpu" and _of(shapes[i]).pinned
                    for n in chosen:
                        key = host, n, "pinned" if pinned else name
                        used[key] = used.get(key, 0) + (amount + len(chosen) - 1) // len(chosen)
            for (host, n, name), amount in sorted(used.items()):
                node = self.hosts[host][n]
                limit = node.pinned_free if name == "pinned" else node.free.get(name, amount)
                if amount > limit:
                    yield f"{host}, node {n}: {name} {amount} is more than the {limit} that is free{when}"


def _needs(name: str, shape: OnNodes) -> str:
    nodes = f"{counted(shape.nodes, 'NUMA node')}"
    return f"{name} needs {nodes}{' of dedicated CPUs' if shape.pinned else ''}"


class _Data(NamedTuple):
    """Q things are kept by node: the resource classes that nodes give, then dedicated CPUs."""

    nodes: Int64
    """[R] how many nodes, 0 for none in particular."""
    need: Int64
    """[R, Q] on each of its nodes."""
    free: Int64
    """[V, N, Q]."""
    there: Bool
    """[V, N] whether the host has such a node."""


def _wrong_node(problem: PlacementProblem, path: str, node: Node, kept: set[str]) -> Iterator[str]:
    own = dict(zip(problem.resource_classes, problem.providers.own.tolist(), strict=True))
    for name in node.free:
        if name not in own:
            yield f"{path}.{name}: not a resource class here; there are {', '.join(own)}"
        elif not own[name]:
            yield f"{path}.{name}: hosts do not have {name}, their pool does; leave it out"
    for name in sorted(kept - set(node.free)):
        yield f"{path}: says nothing of {name}, which other nodes give; give it for all or for none"


def _bits(width: int) -> Bool:
    """[2**N, N] which nodes are in each mask."""
    masks = np.arange(2**width)[:, None]
    inside: Bool = (masks >> np.arange(width)) & 1 == 1
    return inside


def _most(data: _Data, nodes: Int64, need: Int64, inside: Bool) -> Int64:
    """[G, V, C] how many of a class a set of nodes has room for."""
    none = np.iinfo(np.int64).max
    room = np.where(data.there, none, 0)[None].repeat(len(nodes), axis=0)
    for q in range(need.shape[1]):
        takes = need[:, q]
        each = data.free[None, :, :, q] // np.maximum(takes, 1)[:, None, None]
        room = np.where((takes > 0)[:, None, None], np.minimum(room, each), room)
    most = np.zeros((*room.shape[:2], len(inside)), dtype=np.int64)
    for c in range(1, len(inside)):
        right = nodes == inside[c].sum()
        most[right, :, c] = room[right][:, :, inside[c]].min(axis=2)
    return most


def _nodes_in(mask: int) -> list[int]:
    return [n for n in range(mask.bit_length()) if mask > 0 and mask >> n & 1]


def _of(shape: OnNodes | None) -> OnNodes:
    assert shape is not None, "only requests that ask for nodes sit on some"
    return shape


def _short(pool: str, host: str, name: str, need: int, limit: int, each: str) -> Rejection:
    pinned = name == "pinned"
    asked = f"{need:,} dedicated CPUs" if pinned else amount_of(name, need)
    has = f"{limit:,} CPUs" if pinned else format_amount(name, limit)
    return Rejection(
        rule_id="numa",
        pool=pool,
        dimension="vcpu" if pinned else name,
        limit=has,
        need=f"{need:,} CPUs" if pinned else format_amount(name, need),
        why=f"{asked} would have to be free {each} of {host}, where only {has} are left",
        remedy="order a smaller size, split it over more nodes, or free room there",
    )
