"""What a plan has or does and the economics document has no price for: it counts as nothing, and somebody has to say so."""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from placement.arrays import Int64
from tierwise.planner.build import Built

ADD = "add it to the economics document, also where it is 0"


def unpriced(built: Built, counts: Int64, hosts: Int64, current: Int64) -> Mapping[str, int]:
    """What it is -> the machines that move so; 0: it is no move. `counts` [N, P] are of N rows that are in pool `current` [N]."""
    prices = built.prices
    there = [lines for b, lines in enumerate(prices.host_lines) if hosts[b]]
    there += [lines for p, lines in enumerate(prices.pool_lines) if counts[:, p].any()]
    found = Counter(dict.fromkeys((line.what for lines in there for line in lines if line.uncounted), 0))
    for (a, p), lines in prices.move_lines.items():
        moved = int(counts[np.flatnonzero(current == a), p].sum())
        for line in lines:
            if line.uncounted and moved:
                found[line.what] += moved
    return found
