"""What a charge counts against: the elements of ContractApplied, with exact numbers, in either release's spelling."""

import json
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple


class Applied(NamedTuple):
    """One element. `cost` and `quantity` are None where the element has none, or where it is no number."""

    contract: str
    commitment: str
    cost: Fraction | None
    quantity: Fraction | None
    unit: str | None


@lru_cache(maxsize=4096)
def applied(text: str | None) -> tuple[Applied, ...]:
    """The elements that can be read; what is wrong with the others is told by the rules of the column itself."""
    try:
        # Numbers stay as they are written: a float would be another one.
        found = json.loads(text or "{}", parse_float=Fraction, parse_int=Fraction)
    except (ValueError, RecursionError):
        return ()
    elements = found.get("Elements") if isinstance(found, dict) else None
    return tuple(_read(elements)) if isinstance(elements, list) else ()


def _read(elements: list[Any]) -> Iterator[Applied]:
    for each in elements:
        if not isinstance(each, dict):
            continue
        plain = {
            name.removesuffix("ID") + "Id" if name.endswith("ID") else name: each[name] for name in each
        }
        contract, commitment = plain.get("ContractId"), plain.get("ContractCommitmentId")
        if isinstance(contract, str) and isinstance(commitment, str):
            unit = plain.get("ContractCommitmentAppliedUnit")
            yield Applied(
                contract, commitment, _number(plain.get("ContractCommitmentAppliedCost")),
                _number(plain.get("ContractCommitmentAppliedQuantity")), unit if isinstance(unit, str) else None,
            )  # fmt: skip


def _number(value: Any) -> Fraction | None:
    return value if isinstance(value, Fraction) else None
