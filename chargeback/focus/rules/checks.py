"""What a rule can demand of a column: each check gives the rows that break it."""

import re
from collections.abc import Callable, Mapping
from fractions import Fraction

import numpy as np
import pyarrow as pa

from chargeback.focus.rules import across, grain, price_details
from chargeback.focus.rules.attributes import is_currency, is_moment, is_number, is_object, is_string
from chargeback.focus.rules.frame import Column, Frame, Mask, differing
from chargeback.focus.rules.json_objects import FORMAT, SCHEMAS, element_units
from chargeback.focus.rules.moments import before, not_after
from chargeback.focus.rules.numbers import parsed, unequal, wrong_products
from chargeback.focus.rules.unit_format import is_unit
from chargeback.focus.vocabulary import CURRENCIES, PARENTS, SUBCATEGORIES

_DURATION = re.compile(r"[1-9]\d* (Minute|Hour|Day|Week|Month|Quarter|Year)s?", re.ASCII)

Check = Callable[[Frame, str, str], Mask]
"""(file, column, the words after the check's name) -> the rows that break it."""


def breaking(frame: Frame, column: str, words: str) -> Mask:
    """The rows that break a check as the table writes it: ``not null``, ``of Used|Unused``, ``at least 0``."""
    for name in _LONGEST_FIRST:
        if words == name or words.startswith(f"{name} "):
            return CHECKS[name](frame, column, words[len(name) + 1 :])
    msg = f"no check: {words}"
    raise ValueError(msg)


def _value(test: Callable[[str], bool]) -> Check:
    return lambda frame, column, _: frame[column].where(test)


def _type(right: Callable[[object], bool], test: Callable[[str], bool]) -> Check:
    """By the column's type where the file has types, else by what its texts look like."""

    def check(frame: Frame, column: str, _: str) -> Mask:
        cells = frame[column]
        if cells.kind is None:
            return cells.where(test)
        return np.zeros(frame.rows, bool) if right(_plain(cells)) else ~cells.null

    return check


def _plain(cells: Column) -> object:
    kind = cells.kind
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: object) -> bool:
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_null)
    return any(is_kind(kind) for is_kind in kinds)


def _is_numeric(kind: object) -> bool:
    kinds = (pa.types.is_decimal, pa.types.is_integer, pa.types.is_floating, pa.types.is_null)
    return any(is_kind(kind) for is_kind in kinds)


def _is_moment(kind: object) -> bool:
    return any(is_kind(kind) for is_kind in (pa.types.is_timestamp, pa.types.is_null))


def _iso(frame: Frame, column: str, _: str) -> Mask:
    cells = frame[column]
    if cells.kind is not None and pa.types.is_timestamp(cells.kind):
        # A time without a zone is nobody's UTC.
        return ~cells.null if cells.kind.tz is None else np.zeros(frame.rows, bool)
    return cells.where(lambda text: not is_moment(text))


def _number(frame: Frame, column: str, _: str) -> Mask:
    cells = frame[column]
    if cells.kind is not None and _is_numeric(cells.kind):
        return np.zeros(frame.rows, bool)
    return cells.where(lambda text: not is_number(text))


def _of(frame: Frame, column: str, words: str) -> Mask:
    return ~frame[column].among(frozenset(words.split("|"))) & ~frame[column].null


def _not_number(wanted: int) -> Check:
    return lambda frame, column, _: frame[column].where(lambda text: parsed(text) != wanted)


def _outside(text: str) -> bool:
    number = parsed(text)
    return number is not None and not 0 <= number <= 1


def _at_the_ends(text: str) -> bool:
    number = parsed(text)
    return number is not None and not 0 < number < 1


def _no_tree(text: str) -> bool:
    return any(FORMAT[rule](text) for rule in ("JsonObjectFormat-1", "JsonObjectFormat-4"))


def _no_object(frame: Frame, column: str, words: str) -> Mask:
    return frame[column].where(SCHEMAS[words])


def _odd_units(frame: Frame, column: str, words: str) -> Mask:
    return frame[column].where(lambda text: not all(map(is_unit, element_units(text, words))))


def _negative(text: str) -> bool:
    number = parsed(text)
    return number is not None and number < Fraction(0)


def _one(frame: Frame, column: str, words: str) -> Mask:
    """Rows whose value stands with several values of another column."""
    return _several(frame[column], frame[words])


def _same_for(frame: Frame, column: str, words: str) -> Mask:
    if words not in frame:
        return np.zeros(frame.rows, bool)
    return _several(frame[words], frame[column])


def _several(keys: Column, values: Column) -> Mask:
    pairs = np.unique(np.stack([keys.codes, values.codes]), axis=1)
    wide = np.bincount(pairs[0], minlength=len(keys.values)) > 1
    return wide[keys.codes] & ~keys.null


def _child(frame: Frame, column: str, words: str) -> Mask:
    cells, parent = frame[column], frame[words]
    if words not in frame:
        return np.zeros(frame.rows, bool)
    wanted = [PARENTS.get(text or "", "") for text in cells.values]
    found = zip(cells.codes.tolist(), parent.codes.tolist(), strict=True)
    return np.array([wanted[a] != parent.values[b] for a, b in found], bool) & ~cells.null


def _times(frame: Frame, column: str, words: str) -> Mask:
    other, _, cost = words.partition(" is ")
    return wrong_products(frame, column, other, cost)


def _is(frame: Frame, column: str, words: str) -> Mask:
    one, _, other = words.partition(" times ")
    return wrong_products(frame, one, other, column) if other else unequal(frame, column, words)


CHECKS: Mapping[str, Check] = {
    "present": lambda frame, column, _: np.full(1, column not in frame),
    "null": lambda frame, column, _: ~frame[column].null,
    "not null": lambda frame, column, _: frame[column].null,
    "text": _type(_is_text, lambda _: False),
    "decimal": _type(_is_numeric, lambda text: parsed(text) is None),
    "moment": _type(_is_moment, lambda text: not is_moment(text)),
    "string": _value(lambda text: not is_string(text)),
    "number": _number,
    "iso": _iso,
    "currency": _value(lambda text: not is_currency(text)),
    "national": _value(lambda text: text not in CURRENCIES),
    "unit": _value(lambda text: not is_unit(text)),
    "json": _value(lambda text: not is_object(text)),
    "valid": _value(lambda text: parsed(text) is None),
    "at least 0": _value(_negative),
    "= 0": _not_number(0),
    "= 1": _not_number(1),
    "from 0 to 1": _value(_outside),
    "between 0 and 1": _value(_at_the_ends),
    "of": _of,
    "!=": lambda frame, column, words: frame[column].among(frozenset({words})),
    "a category": _value(lambda text: text not in SUBCATEGORIES),
    "a subcategory": _value(lambda text: text not in PARENTS),
    "child of": _child,
    "agree": differing,
    "one": _one,
    "same for": _same_for,
    "times": _times,
    "is": _is,
    "after": not_after,
    "since": before,
    "tree": _value(_no_tree),
    "object of": _no_object,
    "units of": _odd_units,
    "apart from": across.shared_pairs,
    "one parent": across.several_parents,
    "names": across.unnamed,
    "lists": across.unlisted,
    "unique": across.repeated,
    "a duration": _value(lambda text: not _DURATION.fullmatch(text)),
    "grain keys": _value(grain.has_foreign_key),
    "spelt grain keys": _value(grain.has_misspelt_key),
    "grain values": _value(grain.has_mistyped_value),
    "pascal keys": _value(price_details.has_unpascal_key),
    "custom keys": _value(price_details.has_foreign_key),
    "defined keys": _value(price_details.has_misspelt_key),
    "typed values": _value(price_details.has_mistyped_value),
}
"""Each check by the words that the table has for it."""

_LONGEST_FIRST = sorted(CHECKS, key=len, reverse=True)
