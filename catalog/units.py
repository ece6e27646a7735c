"""Amounts of resources as people read and write them: ``12 GiB``, ``1.5 TiB``, ``2,048 vCPU``."""

from decimal import Decimal

from catalog.resources import ResourceClass

_STEP = 1024
_UNITS: dict[str, tuple[str, ...]] = {
    ResourceClass.MEMORY_MIB: ("MiB", "GiB", "TiB", "PiB"),
    ResourceClass.DISK_GIB: ("GiB", "TiB", "PiB"),
}
_NOUNS: dict[str, str] = {
    ResourceClass.VCPU: "vCPU",
    ResourceClass.MEMORY_MIB: "memory",
    ResourceClass.DISK_GIB: "disk",
}


def format_amount(resource_class: str, amount: int) -> str:
    """An amount with its unit, exactly: in the largest unit that needs at most two decimals.

    `amount` is in the unit that the resource class's name ends with; a class that is not one of
    `ResourceClass` is counted in its own name.
    """
    units = _UNITS.get(resource_class)
    if units is None:
        return f"{amount:,} {noun(resource_class)}"
    for power in range(len(units) - 1, 0, -1):
        size = _STEP**power
        if abs(amount) >= size and amount * 100 % size == 0:
            return f"{_plain(Decimal(amount) / size)} {units[power]}"
    return f"{amount:,} {units[0]}"


def amount_of(resource_class: str, amount: int) -> str:
    """The amount with what it is an amount of: ``12 GiB of memory``, ``4 vCPU``."""
    text = format_amount(resource_class, amount)
    return f"{text} of {noun(resource_class)}" if resource_class in _UNITS else text


def amount_more(resource_class: str, amount: int) -> str:
    """The amount as something that is missing: ``12 GiB more memory``, ``4 more vCPU``."""
    if resource_class in _UNITS:
        return f"{format_amount(resource_class, amount)} more {noun(resource_class)}"
    return f"{amount:,} more {noun(resource_class)}"


def noun(resource_class: str) -> str:
    """What people call a resource class, without its unit."""
    return _NOUNS.get(resource_class, resource_class)


def _plain(value: Decimal) -> str:
    text = f"{value:,.2f}"
    return text.rstrip("0").rstrip(".")
