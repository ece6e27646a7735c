"""Which rules match which machines: each pattern looks once at each different text, not at each machine."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalog.estates.class_rules import SIZE_FIELDS, TEXT_FIELDS, ClassRule, Match, Range
from catalog.estates.model import Estate, EstateMachine
from catalog.estates.patterns import matches

Flags = npt.NDArray[np.bool_]


class _Texts(NamedTuple):
    """A column of texts: the different ones, which of them each entry is, and whose entry it is."""

    different: Any
    which: npt.NDArray[np.int64]
    owner: npt.NDArray[np.int64] | None = None
    """None: entry i is of machine i."""


def matched(estate: Estate, rules: Sequence[ClassRule]) -> Flags:
    """Machines x rules: whether the rule's conditions hold, whatever other rules say."""
    machines = _Machines(estate)
    found = np.zeros((len(estate.machines), len(rules)), dtype=np.bool_)
    for i, rule in enumerate(rules):
        holds = machines.meeting(rule.when)
        found[:, i] = holds if rule.unless is None else holds & ~machines.meeting(rule.unless)
    return found


class _Machines:
    """The columns of an estate, made when a rule first asks for them."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self._all = estate.machines
        self._texts: dict[str, _Texts] = {}
        self._sizes: dict[str, npt.NDArray[np.int64]] = {}

    def meeting(self, match: Match) -> Flags:
        """The machines for which every condition holds."""
        holds = np.ones(len(self._all), dtype=np.bool_)
        for field in (*TEXT_FIELDS, "networks"):
            patterns = getattr(match, field)
            if patterns is not None:
                holds &= self._any_of(field, patterns)
        for name, patterns in match.labels.items():
            holds &= self._any_of(f"labels.{name.casefold()}", patterns)
        if match.power is not None:
            holds &= np.array([one.power in match.power for one in self._all], dtype=np.bool_)
        for field in SIZE_FIELDS:
            limits: Range | None = getattr(match, field)
            if limits is not None:
                holds &= self._within(field, limits)
        return holds

    def _any_of(self, column: str, patterns: Iterable[str]) -> Flags:
        texts = self._texts.get(column) or self._texts.setdefault(column, self._column(column))
        hits = matches(texts.different, patterns).to_numpy(zero_copy_only=False)[texts.which]
        if texts.owner is None:
            return np.asarray(hits, dtype=np.bool_)
        return np.bincount(texts.owner[hits], minlength=len(self._all)) > 0

    def _column(self, column: str) -> _Texts:
        if column == "networks":
            # A machine without a network is one whose network is nothing, so that "" finds it.
            each = [one.networks or ("",) for one in self._all]
            owner = np.repeat(np.arange(len(each)), [len(names) for names in each])
            return _encoded([name for names in each for name in names], owner)
        if column.startswith("labels."):
            wanted = column.removeprefix("labels.")
            return _encoded([_label(one, wanted) for one in self._all])
        read: Callable[[EstateMachine], str] = (
            self._estate.pool_of if column == "pool" else lambda one: getattr(one, column)
        )
        return _encoded([read(one) for one in self._all])

    def _within(self, field: str, limits: Range) -> Flags:
        sizes = self._sizes.get(field)
        if sizes is None:
            sizes = self._sizes[field] = np.array([_size(one, field) for one in self._all], dtype=np.int64)
        low = limits.at_least or 0
        return (sizes >= low) if limits.at_most is None else (sizes >= low) & (sizes <= limits.at_most)


def _encoded(texts: list[str], owner: npt.NDArray[np.int64] | None = None) -> _Texts:
    coded = pa.array(texts, pa.string()).dictionary_encode()
    return _Texts(coded.dictionary, coded.indices.to_numpy(zero_copy_only=False).astype(np.int64), owner)


def _label(machine: EstateMachine, wanted: str) -> str:
    """The value of a label, whose name is in small letters here; of names that differ in capitals, the first."""
    return next((value for name, value in machine.labels.items() if name.casefold() == wanted), "")


def _size(machine: EstateMachine, field: str) -> int:
    return machine.resources().disk_gib if field == "disk_gib" else int(getattr(machine, field))
