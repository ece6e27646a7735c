"""FOCUS's JSON objects: the format that all have, and what each may hold. A test says whether a text breaks it.

Written from the object schemas of 1.4 (``...ObjectSchema``), and for ContractApplied from the sentences of 1.3,
which allowed what 1.4 forbids: a cost and a quantity in one element, and the ids in other capitals.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from numbers import Real
from typing import Any

from chargeback.focus.rules.attributes import Test

_CUSTOM = re.compile(r"x_[A-Z][a-zA-Z0-9]*", re.ASCII)
_LEVELS = 3
_OPERATORS = frozenset(
    "In NotIn StartsWith NotStartsWith Contains NotContains EndsWith Exists DoesNotExist".split()  # noqa: SIM905 - a list of short words
)
_EXISTENCE = frozenset({"Exists", "DoesNotExist"})
_WITH_WILDCARD = frozenset({"In", "Contains"}) | _EXISTENCE
_WILDCARD = "*"
_LINKS = ("And", "Or")  # no set: anything can stand there, also what has no hash

Json = dict[str, Any]


class _Doubled(ValueError):
    pass


@lru_cache(maxsize=4096)
def tree(text: str) -> Json | None:
    """The object that a text holds; None where it is none, or has a key twice."""
    try:
        found = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _unique(pairs: list[tuple[str, Any]]) -> Json:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Doubled
    return found


def _no_constant(name: str) -> Any:
    msg = f"{name} is no JSON"
    raise ValueError(msg)


def _is_no_object(text: str) -> bool:
    try:
        found = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return True
    return not isinstance(found, dict)


def _has_key_twice(text: str) -> bool:
    try:
        json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except _Doubled:
        return True
    except (ValueError, RecursionError):
        return False
    return False


def _levels(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = 1 if isinstance(value, dict) else 0
    return own + max((_levels(each) for each in inner), default=0)


def _lists(value: Any) -> Iterator[list[Any]]:
    if isinstance(value, list):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _lists(each)


def _in_lists(text: str, broken: Callable[[list[Any]], bool]) -> bool:
    return any(broken(each) for each in _lists(tree(text) or {}))


def _repeats(values: list[Any]) -> bool:
    texts = [json.dumps(value, sort_keys=True) for value in values if isinstance(value, dict)]
    return len(set(texts)) < len(texts)


def _mixes(values: list[Any]) -> bool:
    return len({"number" if _is_number(value) else type(value).__name__ for value in values}) > 1


FORMAT: Mapping[str, Test] = {
    "JsonObjectFormat-1": _is_no_object,
    "JsonObjectFormat-3": lambda text: _levels(tree(text)) > _LEVELS,
    "JsonObjectFormat-4": _has_key_twice,
    "JsonObjectFormat-6.1": lambda text: _in_lists(text, _mixes),
    "JsonObjectFormat-6.2": lambda text: _in_lists(text, _repeats),
    "JsonObjectFormat-6.3": lambda text: _in_lists(text, lambda values: None in values),
}
"""The rules of the attribute by their position in its text."""


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _fraction(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _custom_besides(found: Json, known: Iterable[str]) -> bool:
    """Whether each key is one of FOCUS's or begins with ``x_`` and a capital."""
    names = frozenset(known)
    return all(key in names or _CUSTOM.fullmatch(key) for key in found)


def _elements(text: str, key: str) -> list[Json] | None:
    """The objects of the one array that the object has; None where that is not so."""
    found = tree(text)
    if found is None or not _custom_besides(found, (key,)):
        return None
    values = found.get(key)
    if not isinstance(values, list) or not values or not all(isinstance(each, dict) for each in values):
        return None
    return values


def _breaks(key: str, fits: Callable[[Json], bool]) -> Test:
    def test(text: str) -> bool:
        values = _elements(text, key)
        return values is None or not all(fits(each) for each in values)

    return test


def _split(element: Json) -> bool:
    unit, quantity = element.get("UsageUnit"), element.get("UsageQuantity")
    return (
        _custom_besides(element, ("AllocatedRatio", "UsageUnit", "UsageQuantity"))
        and _fraction(element.get("AllocatedRatio"))
        and (unit is None or isinstance(unit, str))
        and (quantity is None or (_is_number(quantity) and isinstance(unit, str)))
    )


_APPLIED = (
    "ContractCommitmentAppliedCost",
    "ContractCommitmentAppliedQuantity",
    "ContractCommitmentAppliedUnit",
)
_IDS = ("ContractId", "ContractCommitmentId")


def _applied(element: Json) -> bool:
    cost, quantity, unit = (element.get(name) for name in _APPLIED)
    by_cost = _is_number(cost) and quantity is None and unit is None
    by_quantity = cost is None and _is_number(quantity) and isinstance(unit, str)
    return (
        _custom_besides(element, (*_IDS, *_APPLIED))
        and all(isinstance(element.get(name), str) for name in _IDS)
        and (by_cost or by_quantity)
    )


def _applied_1_3(element: Json) -> bool:
    plain = {
        key.removesuffix("ID") + "Id" if key.endswith("ID") else key: each for key, each in element.items()
    }
    cost, quantity, unit = (plain.get(name) for name in _APPLIED)
    return (
        len(plain) == len(element)
        and _custom_besides(plain, (*_IDS, *_APPLIED))
        and not any(isinstance(each, dict | list) for each in plain.values())
        and all(isinstance(plain.get(name), str) for name in _IDS)
        and (_is_number(cost) or cost is None)
        and (_is_number(quantity) or quantity is None)
        and not (cost is None and quantity is None)
        and (unit is None) == (quantity is None)
        and (unit is None or isinstance(unit, str))
    )


def _program(element: Json) -> bool:
    return _custom_besides(element, ("ProgramType",)) and isinstance(element.get("ProgramType"), str)


def _shares(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= {"Cost", "Usage"}
        and all(map(_fraction, value.values()))
    )


def _selects(rule: Any) -> bool:
    if not isinstance(rule, dict) or not rule.keys() <= {
        "Dimension",
        "Operator",
        "Values",
        "Applicability",
    }:
        return False
    operator, values = rule.get("Operator"), rule.get("Values")
    if not (
        isinstance(rule.get("Dimension"), str) and isinstance(operator, str) and operator in _OPERATORS
    ):
        return False
    if not isinstance(values, list) or not values or not all(isinstance(each, str) for each in values):
        return False
    wild = _WILDCARD in values
    right = len(values) == 1 and operator in _WITH_WILDCARD if wild else operator not in _EXISTENCE
    return right and _shares(rule.get("Applicability", {}))


def _applicability(text: str) -> bool:
    """Whether a text breaks the schema of ContractCommitmentApplicability."""
    found = tree(text)
    return found is None or not (_scope_fits(found) and _exclusions_fit(found))


def _scope_fits(found: Json) -> bool:
    known = ("IsGlobalScope", "IsComplexScope", "Applicability", "InclusionOperator", "Inclusions",
             "ExclusionOperator", "Exclusions")  # fmt: skip
    everywhere, beyond = found.get("IsGlobalScope", False), found.get("IsComplexScope", False)
    rules = found.get("Inclusions", [])
    if not (_custom_besides(found, known) and isinstance(everywhere, bool) and isinstance(beyond, bool)):
        return False
    if not _shares(found.get("Applicability", {})) or not isinstance(rules, list):
        return False
    if everywhere or beyond:
        return not (everywhere and beyond) and not rules and "InclusionOperator" not in found
    return bool(rules) and found.get("InclusionOperator") in _LINKS and all(map(_selects, rules))


def _exclusions_fit(found: Json) -> bool:
    if found.get("ExclusionOperator", "And") not in _LINKS:
        return False
    rules = found.get("Exclusions")
    if "Exclusions" not in found:
        return True
    fits = isinstance(rules, list) and bool(rules) and all(map(_selects, rules))
    return fits and "ExclusionOperator" in found


SCHEMAS: Mapping[str, Test] = {
    "split method": _breaks("Elements", _split),
    "contracts": _breaks("Elements", _applied),
    "contracts of 1.3": _breaks("Elements", _applied_1_3),
    "programs": _breaks("CommitmentPrograms", _program),
    "applicability": _applicability,
}
"""Each object by the words that the tables of rules have for it."""


def applied_to(text: str) -> Iterator[tuple[str, str]]:
    """(contract, commitment) of each element of a ContractApplied, in either release's spelling."""
    for element in _elements(text, "Elements") or ():
        yield (
            str(element.get("ContractId", element.get("ContractID"))),
            str(element.get("ContractCommitmentId", element.get("ContractCommitmentID"))),
        )


def program_types(text: str) -> list[Any]:
    """The types of commitment programs that are listed."""
    return [element.get("ProgramType") for element in _elements(text, "CommitmentPrograms") or ()]


def element_units(text: str, key: str) -> list[str]:
    """The units in the elements of an object."""
    return [str(each[key]) for each in _elements(text, "Elements") or () if each.get(key) is not None]
