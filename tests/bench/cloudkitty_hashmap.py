"""CloudKitty's hashmap on machine-hours of `chargeback_usage`; runs in a venv that has cloudkitty, prints JSON.

python cloudkitty_hashmap.py MACHINES HOURS
"""

import datetime as dt
import decimal
import json
import sys
import time
from typing import Any
from unittest import mock


def main(machines: int, hours: int) -> dict[str, Any]:
    """Seconds of `process()` alone, and the sum of its prices."""
    from cloudkitty.rating import hash as hashmap

    with mock.patch.object(hashmap.HashMap, "_load_rates"):  # from its database; the entries are set below
        processor = hashmap.HashMap("tenant")
    cpu_s, wall_s, total = 0.0, 0.0, decimal.Decimal(0)
    for late in (False, True):
        # It picks one set of rules a collect period, so a price that changes is two sets.
        processor._entries = _entries(late)
        frames = [_frame(machines, h) for h in range(hours) if _late(h) is late]
        cpu, wall = time.process_time(), time.perf_counter()
        done = [processor.process(frame) for frame in frames]
        cpu_s += time.process_time() - cpu
        wall_s += time.perf_counter() - wall
        total += sum(point.price for frame in done for _, point in frame.iterpoints())
    return {"cpu_s": cpu_s, "wall_s": wall_s, "total": str(total), "machine_hours": machines * hours}


def _late(h: int) -> bool:
    return h * 3600 >= 13 * 86400 + 13 * 3600


def _entries(late: bool) -> dict[str, Any]:
    """Rules as `_load_rates` keeps them: per service, a flat price by the tier's name."""
    prices = {"vcpu": 18_000_000, "memory_mib": 4_200_000, "disk_gib": 310_000}
    found = {}
    for metric, nanos in prices.items():
        cost = decimal.Decimal(nanos * 11 // 10 if late else nanos) / 10**9
        tiers = {f"tier-{n}": {"type": "flat", "cost": cost} for n in (1, 2, 3)}
        fields = {"tier": {"mappings": {"_DEFAULT_": tiers}, "thresholds": {}}}
        found[metric] = {"mappings": {}, "thresholds": {}, "fields": fields}
    return found


def _frame(machines: int, h: int) -> Any:
    from cloudkitty import dataframe

    begin = dt.datetime(2026, 10, 1, tzinfo=dt.timezone.utc) + dt.timedelta(hours=h)  # noqa: UP017 - cloudkitty's venv may have an older Python
    usage: dict[str, list[Any]] = {"vcpu": [], "memory_mib": [], "disk_gib": []}
    for v in range(machines):
        grouped = {"id": f"m{v:05d}", "project_id": f"tenant-{v % 200}"}
        tier = {"tier": f"tier-{1 + v % 3}"}
        sizes = {
            "vcpu": 1 + v % 16,
            "memory_mib": (1 + v % 64) * (1 if h < 372 else 2),
            "disk_gib": 20 + v % 500,
        }
        for metric, quantity in sizes.items():
            usage[metric].append(dataframe.DataPoint(metric, quantity, 0, grouped, tier))
    return dataframe.DataFrame(start=begin, end=begin + dt.timedelta(hours=1), usage=usage)


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
