"""Whole hosts, openings and licences from the linear program: what is nearly whole is held, and the rest is asked again."""

import numpy as np

from placement.arrays import Int64
from placement.planning.linear import Linear
from placement.planning.mip import Float64, Infeasible
from placement.planning.model import Model

_SURE = 0.1
_FEW = 4
_NOTHING = 1e-5
_MORE_ON_THAN_OFF = 0.75
_ROUNDS = 40
_DEAR = 20
"""What a machine without a place costs, times what machines cost on average."""


def price_unplaced(model: Model, linear: Linear) -> None:
    """What a machine without a place costs from now on; once, since a linear program goes on poorly from other prices."""
    machines = max(1, int(model.matrix.upper[model.unplaced].sum()))
    linear.cost(model.unplaced, _DEAR * max(1.0, linear.objective) / machines)


def dive(model: Model, linear: Linear, seconds: float) -> Float64:
    """Values [N] of which switches and hosts are whole; machines are in parts, and some may be without a place."""
    for column in model.unplaced.tolist():
        linear.free(column)
    values = _switch(linear, model.switches, seconds)
    return _hold(linear, _hosts(model), values, seconds)


def _switch(linear: Linear, columns: Int64, seconds: float) -> Float64:
    """Switches that are far more on than off are on, then what is most on of the others: who is off follows from that."""
    values = linear.values.copy()
    waiting = columns
    for _ in range(_ROUNDS):
        now = values[waiting]
        partly = (now > _NOTHING) & (now < 1 - _NOTHING)
        if not partly.any():
            break
        on = now >= min(_MORE_ON_THAN_OFF, float(now[partly].max()))
        for column in waiting[on].tolist():
            linear.hold(column, 1, 1)
        waiting = waiting[~on]
        if not _solved(linear, seconds):
            return values
        values = linear.values.copy()
    for column in waiting.tolist():
        linear.hold(column, 0, 0)
    return linear.values.copy() if _solved(linear, seconds) else values


def _solved(linear: Linear, seconds: float) -> bool:
    try:
        return linear.solve(seconds)
    except Infeasible:
        return False


def _hosts(model: Model) -> Int64:
    """Those of pools, then those that rules hold products on."""
    parts = [scope.hosts[scope.hosts >= 0] for scope in model.scopes]
    return np.concatenate([model.hosts, *parts])


def _hold(linear: Linear, columns: Int64, values: Float64, seconds: float) -> Float64:
    """Hold more hosts each time, the surest first: a half of those that are left, at least; the last ones rounded up."""
    waiting = columns
    while len(waiting):
        now = values[waiting]
        doubt = np.abs(now - np.rint(now))
        order = np.argsort(doubt, kind="stable")
        sure = max(int((doubt <= _SURE).sum()), -(-len(order) // 2))
        last = len(order) <= _FEW or sure == len(order)
        held = waiting[order] if last else waiting[order[:sure]]
        for column in held.tolist():
            whole = float(values[column])
            whole = np.ceil(whole - _SURE) if last else np.rint(whole)
            linear.hold(column, int(whole), int(whole))
        waiting = waiting[:0] if last else waiting[order[sure:]]
        if not _solved(linear, seconds):
            break
        values = linear.values.copy()
    return values
