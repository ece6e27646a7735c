"""The planner's first step: 50,000 machines classified by acme's rules, their mapping written and read, their sizes put right.

Beside it, what a script would do: for each machine every pattern of every rule, compiled once, by Python's `re`; only the
matching, without sizes, confidence, reasons or facts. Names, guests and sizes are drawn from a seed; sizes are the usual
ones of estates, so that many machines are alike. Percentiles are of a week of hourly samples of every machine.

    python tests/bench/bench_planner_classify.py
"""

import fnmatch
import json
import re
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from catalog.catalog import Catalog, load_catalog
from catalog.estates import Estate, EstateMachine, PowerState, Utilization
from catalog.estates.class_documents import load_class_rules
from catalog.estates.class_rules import TEXT_FIELDS, ClassRules, Match
from catalog.estates.classifying import classify
from catalog.estates.mapping import read_mapping, write_mapping
from catalog.estates.matching import matched
from catalog.estates.percentiles import Series, utilization
from catalog.estates.sizing import SizingPolicy, rightsize

MACHINES, HOURS, SEED = 50_000, 168, 11
ACME = Path(__file__).parents[2] / "examples" / "acme"
WORDS = (
    "web",
    "db",
    "sql",
    "app",
    "dc",
    "sap",
    "test",
    "ci",
    "batch",
    "fw",
    "srv",
    "file",
    "print",
    "vdi",
    "mon",
    "log",
)
GUESTS = (
    "Microsoft Windows Server 2019 (64-bit)", "Microsoft Windows Server 2022 (64-bit)", "Ubuntu Linux (64-bit)",
    "Debian GNU/Linux 12 (64-bit)", "Red Hat Enterprise Linux 9 (64-bit)", "Microsoft Windows 10 (64-bit)", "Other (64-bit)",
)  # fmt: skip


def main() -> dict[str, int | float | str]:
    """Measure and return figures."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in ACME.glob("*.yaml")}
    catalog = load_catalog(texts)
    rules = load_class_rules(texts["classes.yaml"], "classes.yaml", catalog)
    estate = _estate()
    return {
        "machines": MACHINES,
        "rules": len(rules.rules),
        **_classifying(estate, rules, catalog),
        **_sizing(estate),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _classifying(estate: Estate, rules: ClassRules, catalog: Catalog) -> dict[str, int | float | str]:
    found, wall, cpu = _timed(lambda: classify(estate, rules, catalog.classes))
    flags, _, columns_cpu = _timed(lambda: matched(estate, rules.rules))
    plain, _, plain_cpu = _timed(lambda: _machine_by_machine(estate, rules))
    assert (flags == plain).all()
    text, _, write_cpu = _timed(lambda: write_mapping(estate, found))
    read, _, read_cpu = _timed(lambda: read_mapping(text, "m.csv", estate, catalog.classes))
    assert read.unedited == MACHINES
    return {
        "need_eye": sum(one.needs_eye for one in found),
        "classify_s": round(wall, 2),
        "classify_cpu_s": round(cpu, 2),
        "matching_cpu_s": round(columns_cpu, 2),
        "matching_machine_by_machine_cpu_s": round(plain_cpu, 2),
        "times_faster_than_machine_by_machine": round(plain_cpu / columns_cpu, 1),
        "write_mapping_cpu_s": round(write_cpu, 2),
        "read_mapping_cpu_s": round(read_cpu, 2),
    }


def _sizing(estate: Estate) -> dict[str, int | float | str]:
    chance = np.random.default_rng(SEED)
    owner = np.repeat(np.arange(MACHINES), HOURS)
    at = np.tile(np.arange(HOURS) * 3600, MACHINES)
    series = Series(owner, at, chance.gamma(2, 10, MACHINES * HOURS))
    known, _, cpu = _timed(lambda: utilization(series, series, MACHINES, 95))
    machines = [
        one.model_copy(update={"utilization": use}) for one, use in zip(estate.machines, known, strict=True)
    ]
    policy = SizingPolicy()
    sized, _, size_cpu = _timed(lambda: [rightsize(one, policy) for one in machines])
    return {
        "samples": 2 * MACHINES * HOURS,
        "percentiles_cpu_s": round(cpu, 2),
        "rightsize_cpu_s": round(size_cpu, 2),
        "would_change": sum(one.is_changed for one in sized),
    }


def _machine_by_machine(estate: Estate, rules: ClassRules) -> Any:
    compiled = [(_compiled(rule.when), rule.unless and _compiled(rule.unless)) for rule in rules.rules]
    found = np.zeros((len(estate.machines), len(rules.rules)), dtype=np.bool_)
    for i, machine in enumerate(estate.machines):
        for j, (when, unless) in enumerate(compiled):
            found[i, j] = when(machine) and not (unless and unless(machine))
    return found


def _compiled(match: Match) -> Callable[[EstateMachine], bool]:
    texts = [
        (field, [_regex(pattern) for pattern in getattr(match, field)])
        for field in TEXT_FIELDS
        if getattr(match, field) is not None
    ]
    sizes = [
        (field, limits.at_least or 0, limits.at_most)
        for field in ("vcpus", "memory_mib")
        if (limits := getattr(match, field)) is not None
    ]
    assert match.networks is None
    assert match.disk_gib is None
    assert not match.labels

    def holds(machine: EstateMachine) -> bool:
        return (
            all(any(one.search(getattr(machine, field)) for one in regexes) for field, regexes in texts)
            and (match.power is None or machine.power in match.power)
            and all(
                getattr(machine, field) >= low and (high is None or getattr(machine, field) <= high)
                for field, low, high in sizes
            )
        )

    return holds


def _regex(pattern: str) -> re.Pattern[str]:
    if pattern.startswith("re:"):
        return re.compile(pattern[3:], re.IGNORECASE)
    return re.compile(r"\A" + fnmatch.translate(pattern.replace("[", "[[]")), re.IGNORECASE)


def _estate() -> Estate:
    chance = np.random.default_rng(SEED)
    first, second = (chance.integers(0, len(WORDS), MACHINES) for _ in range(2))
    guests = chance.choice(len(GUESTS), MACHINES, p=[0.2, 0.2, 0.2, 0.1, 0.15, 0.1, 0.05])
    vcpus = chance.choice([1, 2, 4, 8, 16, 24], MACHINES, p=[0.1, 0.35, 0.3, 0.15, 0.08, 0.02])
    gib = vcpus * chance.choice([1, 2, 4, 8], MACHINES, p=[0.1, 0.3, 0.45, 0.15])
    disk = chance.integers(10, 2000, MACHINES)
    off = chance.random(MACHINES) < 0.1
    machines = tuple(
        EstateMachine(
            id=f"4212{i:08x}",
            name=f"{WORDS[first[i]]}-{WORDS[second[i]]}-{i:05d}",
            guest_os=GUESTS[guests[i]],
            vcpus=int(vcpus[i]),
            memory_mib=int(gib[i]) * 1024,
            provisioned_mib=int(disk[i]) * 1024,
            power=PowerState.OFF if off[i] else PowerState.ON,
            utilization=Utilization(),
        )
        for i in range(MACHINES)
    )
    return Estate(name="bench", source=f"drawn with seed {SEED}", machines=machines)


def _timed(what: Callable[[], Any]) -> tuple[Any, float, float]:
    """What it gives, and the seconds that it took by the wall and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = what()
    return found, time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    print(json.dumps(main(), indent=1))
