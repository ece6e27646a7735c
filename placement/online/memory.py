"""Everything the inner loops look at, in one array of integers: compiled code takes one argument instead of sixty.

`Parts` says what there is; `pack` puts the parts one after another behind a header that says where each begins
and how wide its rows are. `at` finds a row; the views that `pack` gives back look at the same memory.

G classes, V providers, K resources, R requests; L lanes (what each provider limits for itself), F rules (counts by
domain), M maps of providers to domains, N families of stores, S stores of all of them, Z promises of failover.
Lists of lists are flat, with an array `..._at` of where each begins, one longer than there are lists.
"""

from typing import NamedTuple, cast

import numpy as np

from placement.arrays import Int64
from placement.compiling import compiled

FORBIDDEN = 2**62
"""A price that nobody pays."""


class Parts(NamedTuple):
    """The parts in their order; flags are 0 or 1."""

    pattern_of: Int64
    """[G] classes with equal prices and refusals share a pattern."""
    prices: Int64
    """[patterns, V] FORBIDDEN where a class may not go."""
    shelf_of: Int64
    """[V] providers that cost the same in every pattern share a shelf."""
    shelf_at: Int64
    """Where a shelf begins in `order`."""
    candidate_at: Int64
    candidate: Int64
    """By pattern, the shelves that it may go to, the cheapest first."""
    least_fit: Int64
    """[G] what `fit` is at least where a class fits."""
    lane_at: Int64
    lane: Int64
    lane_weight: Int64
    """By class, the lanes it needs something of, and how much."""
    scale: Int64
    """[L] makes amounts of different lanes comparable: all that was free in a lane at first is worth V * 2**20."""
    rule_at: Int64
    rule_soft: Int64
    """[G] where the rules that only cost something begin; those that forbid come before."""
    rule: Int64
    rule_weight: Int64
    """By class, the rules that count it, and its weight."""
    kind: Int64
    """[F] as in `placement.online.admitted`."""
    map_of: Int64
    """[F]."""
    count_at: Int64
    """[F + 1] where a rule's counts begin in `count`, one for each domain."""
    value_at: Int64
    """[F] where a rule's values begin in `value`."""
    value_step: Int64
    """[F] 1, or 0 where all domains have the same values."""
    max_skew: Int64
    """[F]."""
    from_zero: Int64
    """[F] whether the least count is taken as 0."""
    value: Int64
    """[., 3] as in `Rule`."""
    maps: Int64
    """[M, V] the domain of each provider, -1 for none."""
    everywhere: Int64
    """[M] whether every provider has a domain."""
    member_at: Int64
    """[M] where a map's lists begin in `member_start`, one for each domain and one for who has none."""
    member_start: Int64
    member: Int64
    """The providers of each domain, of maps that keep requests together."""
    away: Int64
    """[1] what leaving the provider where a request runs today adds to its price."""
    numa_nodes: Int64
    """[G]."""
    numa_need: Int64
    """[G, K]."""
    store_need: Int64
    """[G, N, amounts]."""
    store_at: Int64
    """[N + 1] where the stores of a family begin."""
    reach_at: Int64
    reach: Int64
    """By provider and family, the stores that it reaches."""
    store_choice: Int64
    """[S] the choice that a store stands for, those of all families numbered on."""
    store_allowed: Int64
    """[G, choices of all families]."""
    promise_at: Int64
    promise: Int64
    promise_local: Int64
    """By provider, the promises that concern it, and which of their hosts it is."""
    host_at: Int64
    host: Int64
    """By promise, its hosts."""
    times: Int64
    """[Z] in how many scenarios each host fails."""
    fails_in_at: Int64
    fails_in: Int64
    """By promise, the scenarios in which each host fails: [hosts, times], flat."""
    fails_at: Int64
    fails: Int64
    """By promise, whether a host fails in a scenario: [scenarios, hosts], flat."""
    restarts: Int64
    """[Z, G] whether a class is restarted."""
    restart_on: Int64
    """[G, V] where a class may restart, where there are promises."""
    demand: Int64
    """[G, K] of providers' own resources; 0 of what only pools limit."""
    worth: Int64
    """[K] as `scale`, for restarts."""
    gate: Int64
    """[F] scratch of one search: the domains that a rule with few domains lets the request into, as a bit mask."""
    to_ask: Int64
    """[2 + F] scratch of one search: how many gates are not wide open, how many rules have no gate; the entries
    of the former from the third on, those of the latter from the end."""
    provider_of: Int64
    """[R] -1 for none. From here on, parts change as requests come and go."""
    numa_of: Int64
    """[R] bit mask of nodes, -1 for none."""
    store_of: Int64
    """[R, N] the store of each family, -1 for none."""
    on: Int64
    """[V] requests on each provider."""
    order: Int64
    """[V] by shelf, the providers as they are preferred at the same cost: on ones first, then the fullest, then the first."""
    opened: Int64
    """By shelf, how many are on."""
    fit: Int64
    """[V] what is left in all lanes together, each worth its `scale`."""
    room: Int64
    """[V, L]."""
    counts: Int64
    """By rule and domain, the weight there; of APART, 2**20 for each request there, plus its weight."""
    total: Int64
    """[F] of TOGETHER, the members placed in any domain."""
    low: Int64
    """[F] of EVEN, the least count of an eligible domain; of TOGETHER, the domain in which they are."""
    lows: Int64
    """[F] of EVEN, how many eligible domains have the least count."""
    numa_free: Int64
    """[V * nodes, K]."""
    store_free: Int64
    """[S, amounts]."""
    left: Int64
    """[V, K] what is free while nothing has failed, where there are promises."""
    load: Int64
    """[., K] by promise, scenario and host (as `fails`): what the host takes over."""
    peak: Int64
    """[., K] by promise and host (as `host`): the most it takes over in any scenario."""
    target: Int64
    """[R, promises of a provider * times] the host (of the promise's) where a request restarts, -1 for none."""


ROWS, WIDTH, HEADER = 1, 2, 3
"""A part's header: where it begins, how many rows it has, how wide they are."""


def _number(value: int) -> int:
    """Not a plain int: numba would compile what it is passed to anew for each of them."""
    return cast("int", np.int64(value))


def _header(name: str) -> int:
    return _number(HEADER * Parts._fields.index(name))


COMES, GOES = _number(1), _number(-1)
"""A request is counted in, or out."""


PATTERN_OF, PRICES = _header("pattern_of"), _header("prices")
SHELF_OF, SHELF_AT = _header("shelf_of"), _header("shelf_at")
CANDIDATE_AT, CANDIDATE = _header("candidate_at"), _header("candidate")
LEAST_FIT, ORDER, OPENED, FIT = (_header(n) for n in ("least_fit", "order", "opened", "fit"))
LANE_AT, LANE, LANE_WEIGHT, SCALE = (_header(n) for n in ("lane_at", "lane", "lane_weight", "scale"))
RULE_AT, RULE_SOFT, RULE, RULE_WEIGHT = (
    _header(n) for n in ("rule_at", "rule_soft", "rule", "rule_weight")
)
KIND, MAP_OF, COUNT_AT = _header("kind"), _header("map_of"), _header("count_at")
VALUE_AT, VALUE_STEP, VALUE = _header("value_at"), _header("value_step"), _header("value")
MAX_SKEW, FROM_ZERO, MAPS = _header("max_skew"), _header("from_zero"), _header("maps")
EVERYWHERE, GATE, TO_ASK = (_header(n) for n in ("everywhere", "gate", "to_ask"))
MEMBER_AT, MEMBER_START, MEMBER = _header("member_at"), _header("member_start"), _header("member")
AWAY, NUMA_NODES, NUMA_NEED = _header("away"), _header("numa_nodes"), _header("numa_need")
STORE_NEED, STORE_CHOICE, STORE_ALLOWED = (
    _header(n) for n in ("store_need", "store_choice", "store_allowed")
)
REACH_AT, REACH = _header("reach_at"), _header("reach")
PROMISE_AT, PROMISE, PROMISE_LOCAL = (_header(n) for n in ("promise_at", "promise", "promise_local"))
HOST_AT, HOST, TIMES = _header("host_at"), _header("host"), _header("times")
FAILS_IN_AT, FAILS_IN, FAILS_AT, FAILS = (
    _header(n) for n in ("fails_in_at", "fails_in", "fails_at", "fails")
)
RESTARTS, RESTART_ON, DEMAND, WORTH = (_header(n) for n in ("restarts", "restart_on", "demand", "worth"))
PROVIDER_OF, NUMA_OF, STORE_OF, ON = (_header(n) for n in ("provider_of", "numa_of", "store_of", "on"))
ROOM, COUNTS, TOTAL, LOW, LOWS = (_header(n) for n in ("room", "counts", "total", "low", "lows"))
NUMA_FREE, STORE_FREE = _header("numa_free"), _header("store_free")
LEFT, LOAD, PEAK, TARGET = (_header(n) for n in ("left", "load", "peak", "target"))


@compiled
def at(m: Int64, part: int, row: int) -> int:
    """Where a row of a part begins."""
    begin: int = m[part] + row * m[part + WIDTH]
    return begin


@compiled
def get(m: Int64, part: int, row: int) -> int:
    """The first value of a row, or the row's only one."""
    value: int = m[m[part] + row * m[part + WIDTH]]
    return value


def pack(parts: Parts) -> tuple[Int64, Parts]:
    """One array with all parts, and views of it as they were."""
    sizes = [one.size for one in parts]
    ends = np.cumsum([HEADER * len(parts), *sizes])
    memory = np.zeros(int(ends[-1]), dtype=np.int64)
    views = []
    for n, one in enumerate(parts):
        rows = one.shape[0]
        width = int(np.prod(one.shape[1:], dtype=np.int64))
        memory[HEADER * n : HEADER * (n + 1)] = ends[n], rows, width
        view = memory[ends[n] : ends[n + 1]].reshape(one.shape)
        view[...] = one
        views.append(view)
    return memory, Parts(*views)
