"""Rebalancing the larger instances of the ROADEF/EURO challenge 2012 (B) with two threads, against the winner's own results.

python tests/bench/bench_planner_rebalance_b.py
"""

import json

from roadef_challenge import WINNER, figures


def main() -> dict[str, int | float | str]:
    """Costs, how far from the winner's, and the sum of the challenge's scores."""
    return figures(name for name in WINNER if name.startswith("b"))


if __name__ == "__main__":
    print(json.dumps(main(), indent=1))
