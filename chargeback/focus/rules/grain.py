"""InvoiceDetailGrain: which keys FOCUS defines (1.4), each a column of Cost and Usage or of contracts."""

from chargeback.focus.rules.attributes import pairs

DEFINED = frozenset(
    "ContractId RegionId ResourceId ResourceType ServiceName SkuId SkuMeter SkuPriceId SubAccountId".split()  # noqa: SIM905 - a list of words
)
_SMALL = {name.casefold(): name for name in DEFINED}


def has_foreign_key(text: str) -> bool:
    """A key that is neither FOCUS's nor begins with ``x_``."""
    return any(not key.startswith("x_") and key.casefold() not in _SMALL for key, _ in pairs(text))


def has_misspelt_key(text: str) -> bool:
    """A key of FOCUS's in other capitals."""
    return any(_SMALL.get(key.casefold(), key) != key for key, _ in pairs(text))


def has_mistyped_value(text: str) -> bool:
    """What is no text under a key of FOCUS's; all of them are."""
    return any(
        key in DEFINED and value is not None and not isinstance(value, str) for key, value in pairs(text)
    )
