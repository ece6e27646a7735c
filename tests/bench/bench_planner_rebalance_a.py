"""Rebalancing the small instances of the ROADEF/EURO challenge 2012 (A) with two threads, against the winner's own results.

python tests/bench/bench_planner_rebalance_a.py
"""

import json

from roadef_challenge import WINNER, figures


def main() -> dict[str, int | float | str]:
    """Costs, and how far from the winner's."""
    return figures(name for name in WINNER if name.startswith("a"))


if __name__ == "__main__":
    print(json.dumps(main(), indent=1))
