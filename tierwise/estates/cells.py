"""Cells of other people's workbooks as texts, truths and whole numbers, whatever language wrote them."""

import re
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

Cell = object
"""What a reader gives: text, number, truth, date or None."""

EMPTY = frozenset({"", "none", "nan", "null", "n/a", "-"})
"""Texts that mean no value, in lower case."""
MAX_TEXT = 1000
LARGEST = 2**53

_TRUE = frozenset(
    {"true", "1", "yes", "y", "x", "on", "wahr", "ja", "vrai", "oui", "verdadero", "si", "sí", "vero"}
)
_SPACES = "\u00a0\u202f\u2009' \u2019\t"
"""What groups thousands in some languages, blanks of all widths and apostrophes."""
_DROP_SPACES = str.maketrans("", "", _SPACES)
_UNIT = re.compile(r"^(?P<number>[^a-z%]*)(?P<unit>[a-z]*%?)$")
_GROUPED = re.compile(r"[+-]?\d{1,3}(?P<mark>[.,])\d{3}(?:(?P=mark)\d{3})*")
_ROUND = Decimal(1)

KIB = Decimal(1) / 1024
MIB_OF_UNIT = {
    "b": KIB / 1024, "byte": KIB / 1024, "bytes": KIB / 1024,
    "kb": KIB, "kib": KIB, "mb": Decimal(1), "mib": Decimal(1),
    "gb": Decimal(1024), "gib": Decimal(1024), "tb": Decimal(1024**2), "tib": Decimal(1024**2),
}  # fmt: skip
"""Unit -> MiB. Exports that write KB, MB, GB and TB count in steps of 1,024 all the same: see the reference."""


def text(cell: Cell) -> str:
    """The cell as a person reads it, without blanks around it; empty for what means no value, at most 1,000 characters."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        said = cell.strip()
    elif isinstance(cell, bool):
        return "True" if cell else "False"
    elif isinstance(cell, float):
        said = str(int(cell)) if cell.is_integer() and abs(cell) < LARGEST else str(cell)
    else:
        said = str(cell)
    return "" if said.lower() in EMPTY else said[:MAX_TEXT]


def is_blank(cell: Cell) -> bool:
    """Whether nothing stands in the cell, or only blanks."""
    return cell is None or (isinstance(cell, str) and not cell.strip())


def truth(cell: Cell) -> bool | None:
    """Whether the cell says yes; None where it says nothing."""
    if isinstance(cell, bool):
        return cell
    said = text(cell).lower()
    return None if not said else said.removesuffix(".0") in _TRUE


def moment(cell: Cell) -> datetime | None:
    """A date with time; with a time zone only where the cell says one."""
    if isinstance(cell, datetime):
        return cell
    if isinstance(cell, date) or not isinstance(cell, str):
        return None
    try:
        return datetime.fromisoformat(cell.strip())
    except ValueError:
        return None


@dataclass
class Numbers:
    """Reads numbers that may be text; remembers what could mean two things.

    `decimal` is the decimal mark where it is known. Where it is not, ``1.234`` and ``1,234`` are both one thousand
    two hundred and thirty-four in a column of whole numbers; in other columns the point is taken as decimal mark.
    """

    decimal: str | None = None
    ambiguous: str = ""
    """One text that could have been read in two ways."""
    seen: set[str] = field(default_factory=set)
    """The decimal marks that texts prove, as ``1.234,5`` proves the comma."""

    def read(self, cell: Cell, *, whole: bool = True, units: bool = False) -> Decimal | None:
        """The number; in MiB where `units` and the cell says another unit. None for what is no number.

        Raises ValueError for a text that is neither empty nor a number.
        """
        if isinstance(cell, bool):
            msg = f"{cell} is no number"
            raise ValueError(msg)  # noqa: TRY004 - one kind of error for all that is no number
        if isinstance(cell, int):
            return Decimal(cell)
        if isinstance(cell, float):
            return _finite(Decimal(repr(cell)))
        said = text(cell)
        return self._text(said, whole=whole, units=units) if said else None

    def _text(self, said: str, *, whole: bool, units: bool) -> Decimal:
        found = _UNIT.match(said.lower().translate(_DROP_SPACES))
        unit = found["unit"] if found else ""
        known = found is not None and (unit in {"", "%"} or (units and unit in MIB_OF_UNIT))
        if found is None or not known:
            msg = f"'{said[:40]}' is no number"
            raise ValueError(msg)
        number = self._marks(found["number"], said, whole=whole)
        return number * MIB_OF_UNIT.get(unit, _ROUND)

    def _marks(self, digits: str, said: str, *, whole: bool) -> Decimal:
        last = max(digits.rfind("."), digits.rfind(","))
        if last < 0:
            return _decimal(digits, said)
        mark = digits[last]
        other = "," if mark == "." else "."
        if other in digits or (digits.count(mark) == 1 and not _GROUPED.fullmatch(digits)):
            if digits.count(mark) > 1:
                msg = f"'{said[:40]}' is no number"
                raise ValueError(msg)
            self.seen.add(mark)
            _check_groups(digits[:last], other, said)
            return _decimal(digits.replace(other, "").replace(mark, "."), said)
        if digits.count(mark) > 1:
            _check_groups(digits, mark, said)
            self.seen.add(other)
            return _decimal(digits.replace(mark, ""), said)
        return self._either(digits, mark, said, whole=whole)

    def _either(self, digits: str, mark: str, said: str, *, whole: bool) -> Decimal:
        """``1.234``: decimal or grouped, as the rest of the file has it."""
        self.ambiguous = self.ambiguous or said[:40]
        decimal = mark == self.decimal if self.decimal else not whole and mark == "."
        return _decimal(digits.replace(mark, "." if decimal else ""), said)


def _check_groups(digits: str, mark: str, said: str) -> None:
    """Thousands come in threes: ``1,23,4.5`` is a slip of the keyboard."""
    if mark in digits and not _GROUPED.fullmatch(digits):
        msg = f"'{said[:40]}' is no number"
        raise ValueError(msg)


def _decimal(digits: str, said: str) -> Decimal:
    try:
        return _finite(Decimal(digits))
    except InvalidOperation:
        msg = f"'{said[:40]}' is no number"
        raise ValueError(msg) from None


def _finite(value: Decimal) -> Decimal:
    if not value.is_finite() or abs(value) > LARGEST:
        msg = f"{value:.3g} is no amount"
        raise ValueError(msg)
    return value


def rounded(value: Decimal) -> int:
    """To the nearest whole number, halves up."""
    return int(value.quantize(_ROUND, rounding=ROUND_HALF_UP))
