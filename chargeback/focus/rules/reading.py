"""The table of rules -> `Rule`s, each a check of one column under a condition."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import numpy as np

from chargeback.focus.rules.frame import Frame, Mask, differing
from chargeback.focus.rules.moments import not_before
from chargeback.focus.rules.numbers import parsed

Condition = Callable[[Frame], Mask]

_RULE = re.compile(
    r"(?P<id>\S+)(?P<should> should)? (?P<check>.+?)( if (?P<condition>.+?))?( \[(?P<flags>[A-Z_,]+)\])?"
)
_TERM = re.compile(
    r"(?P<column>\w+) (?P<how>null|not null|not zero|differs|not before|!=|=)( (?P<what>.+))?"
)


class Rule(NamedTuple):
    """One line of the table.

    `check` are its words, the first of which names the check; `only_with` is what a provider must
    support (FOCUS's applicability criteria) for the rule to apply.
    """

    id: str
    column: str
    check: str
    condition: str
    only_with: frozenset[str]
    should: bool


def rules(table: str, dataset: str = "CAU") -> Iterator[Rule]:
    """Each line as a rule, in order; `dataset` is its short id, which ids that are positions begin with."""
    column = ""
    for line in filter(None, table.splitlines()):
        if not line.startswith(" "):
            column = line
            continue
        match = _RULE.fullmatch(line.strip())
        assert match is not None, f"no rule: {line}"
        yield Rule(
            _full_id(match["id"], column, dataset), column, match["check"], match["condition"] or "",
            frozenset(f"{flag}_SUPPORTED" for flag in filter(None, (match["flags"] or "").split(","))),
            should=match["should"] is not None,
        )  # fmt: skip


@cache
def condition(text: str) -> Condition:
    """A mask of the rows for which all terms of `text` hold; all rows for none."""
    terms = [_term(term) for term in text.split(" and ")] if text else []

    def holds(frame: Frame) -> Mask:
        found = np.ones(frame.rows, bool)
        for term in terms:
            found &= term(frame)
        return found

    return holds


def _full_id(short: str, column: str, dataset: str) -> str:
    if short.startswith("P2."):
        return f"{dataset}-{short[1:]}"
    if short[0].isdecimal() or short.startswith("O."):
        return f"{dataset}-{column}-{short}"
    if short.startswith("D-"):
        return f"CostAndUsage-{short}"
    return f"{column}-{short}" if short.startswith("C-") else short


def _term(text: str) -> Condition:
    match = _TERM.fullmatch(text)
    assert match is not None, f"no condition: {text}"
    column, what = match["column"], match["what"] or ""
    values = frozenset(what.split("|"))
    terms: dict[str, Condition] = {
        "null": lambda frame: frame[column].null,
        "not null": lambda frame: ~frame[column].null,
        "not zero": lambda frame: frame[column].where(lambda text: parsed(text) != 0),
        "=": lambda frame: frame[column].among(values),
        "!=": lambda frame: ~frame[column].among(values),
        "differs": lambda frame: differing(frame, column, what),
        "not before": lambda frame: not_before(frame, column, what),
    }
    return terms[match["how"]]
