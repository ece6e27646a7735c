"""The page of capabilities, made from what the drivers declare missing.

``python -m tierwise.docs.capabilities > docs/reference/capabilities.md`` writes it anew.
"""

import sys
from collections.abc import Iterable, Sequence

from catalog.capabilities import Capability, Gap
from connectors import registry
from connectors.contract import PLATFORM_CAPABILITIES, Connector

_INTRODUCTION = """\
# Capabilities

What each driver can do, and why not where it cannot. This page is generated from the drivers; write it
anew with `python -m tierwise.docs.capabilities > docs/reference/capabilities.md`.

- **yes**: the driver does it, and passes the conformance suite for it.
- **platform**: the hypervisor does it by itself or by its own tools. Rules can ask for it; tierwise has
  no operation for it.
- anything else is missing, for one of four reasons: *never* (it does not exist there), *not yet* (tierwise
  has not built it), *not licensed* or *not configured* (someone can switch it on).

A probe of the live endpoint may find more that is missing, for instance a cluster without DRS, a host
that is too old, or a pool with one host or one storage, between which nothing moves; `tierwise pool
capabilities` gives the reasons of one pool. No vendor library is needed to make this page.
"""


def capability_matrix(driver_classes: Iterable[type[Connector]]) -> str:
    """The whole page in Markdown: a table of all capabilities, then each driver's reasons."""
    drivers = sorted(driver_classes, key=lambda driver: driver.driver)
    return "\n".join([_INTRODUCTION, *_table(drivers), "", *_reasons(drivers)])


def _table(drivers: Sequence[type[Connector]]) -> list[str]:
    names = [driver.driver for driver in drivers]
    rows = [["capability", *names], ["---" for _ in range(len(names) + 1)]]
    rows += [
        [f"`{capability.value}`", *(_cell(driver, capability) for driver in drivers)]
        for capability in Capability
    ]
    return [f"| {' | '.join(row)} |" for row in rows]


def _cell(driver: type[Connector], capability: Capability) -> str:
    gap = driver.declared().gap(capability)
    if gap is not None:
        return _words(gap)
    return "platform" if capability in PLATFORM_CAPABILITIES else "yes"


def _reasons(drivers: Sequence[type[Connector]]) -> list[str]:
    lines = ["## Reasons", ""]
    for driver in drivers:
        gaps = driver.declared().gaps
        lines += [f"### {driver.driver}", ""]
        lines += [f"- `{c.value}` ({_words(gap)}): {gap.detail}" for c, gap in gaps.items()]
        lines += [] if gaps else ["Nothing is missing."]
        lines += [""]
    return lines


def _words(gap: Gap) -> str:
    return gap.reason.value.replace("_", " ")


def installed() -> str:
    """The page for all installed drivers."""
    return capability_matrix(registry.driver_class(name) for name in registry.driver_names())


if __name__ == "__main__":
    sys.stdout.write(installed())
