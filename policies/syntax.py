"""What a checked CEL expression names and compares, read from its serialized syntax tree.

The tree is a protobuf message, ``google.protobuf.Any`` around ``cel.expr.CheckedExpr`` (field numbers
from ``cel/expr/checked.proto`` and ``cel/expr/syntax.proto`` of the CEL specification). Only the wire
format is needed, so no generated code is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_ANY_VALUE = 2
_CHECKED_EXPR, _CHECKED_SOURCE, _SOURCE_POSITIONS = 4, 5, 4
_EXPR_ID, _EXPR_CONST, _EXPR_IDENT, _EXPR_CALL, _EXPR_LIST, _EXPR_STRUCT = 2, 3, 4, 6, 7, 8
_IDENT_NAME, _CALL_FUNCTION, _CALL_ARGS, _LIST_ELEMENTS, _CONST_STRING = 1, 2, 3, 1, 6
_STRUCT_ENTRIES, _ENTRY_CHILDREN = 2, (3, 4)
_CHILDREN = {5: (1,), 6: (1, 3), 7: (1,), 9: (2, 4, 5, 6, 7)}
"""Where a select, call, list and comprehension keep their sub-expressions."""

Message = Mapping[int, list[int | bytes]]


@dataclass(frozen=True)
class Literal:
    """A text constant, and where it stands in the expression; line and column start at 1."""

    value: str
    line: int
    column: int


@dataclass(frozen=True)
class Comparison:
    """A fact that is compared with constants by ``==``, ``!=`` or ``in``."""

    fact: str
    texts: tuple[Literal, ...]


@dataclass(frozen=True)
class Syntax:
    """The names an expression uses, and its comparisons of a name with text constants."""

    names: frozenset[str]
    comparisons: tuple[Comparison, ...]


def comparisons(serialized: bytes, text: str) -> Syntax:
    """Read the checked tree that `cel.Expression.serialize` gives for `text`."""
    checked = _parse(_one(_parse(serialized), _ANY_VALUE))
    positions = dict(_positions(_parse(_one(checked, _CHECKED_SOURCE))))
    names: set[str] = set()
    found: list[Comparison] = []
    for node in _walk(_one(checked, _CHECKED_EXPR)):
        name = _name(node)
        if name:
            names.add(name)
        found.extend(_comparison(node, positions, text))
    return Syntax(frozenset(names), tuple(found))


def _walk(expression: bytes) -> Iterator[Message]:
    """This node and every node below it, macros' expansions included."""
    node = _parse(expression)
    yield node
    for kind, children in _CHILDREN.items():
        for container in _all(node, kind):
            for child in _all(_parse(container), *children):
                yield from _walk(child)
    for struct in _all(node, _EXPR_STRUCT):
        for entry in _all(_parse(struct), _STRUCT_ENTRIES):
            for child in _all(_parse(entry), *_ENTRY_CHILDREN):
                yield from _walk(child)


def _name(node: Message) -> str:
    return _text(_parse(_one(node, _EXPR_IDENT)), _IDENT_NAME)


def _comparison(node: Message, positions: Mapping[int, int], text: str) -> Iterator[Comparison]:
    call = _parse(_one(node, _EXPR_CALL))
    if _text(call, _CALL_FUNCTION) not in {"_==_", "_!=_", "@in"}:
        return
    sides = [_parse(side) for side in _all(call, _CALL_ARGS)]
    for side, other in (sides, reversed(sides)):
        fact = _name(side)
        if fact:
            yield Comparison(fact, tuple(_literals(other, positions, text)))


def _literals(node: Message, positions: Mapping[int, int], text: str) -> Iterator[Literal]:
    elements = [_parse(e) for e in _all(_parse(_one(node, _EXPR_LIST)), _LIST_ELEMENTS)]
    for candidate in (node, *elements):
        constant = _parse(_one(candidate, _EXPR_CONST))
        if _CONST_STRING in constant:
            before = text[: positions.get(_number(candidate, _EXPR_ID), 0)]
            column = len(before) - (before.rfind("\n") + 1) + 1
            yield Literal(_text(constant, _CONST_STRING), before.count("\n") + 1, column)


def _positions(source: Message) -> Iterator[tuple[int, int]]:
    """Node id -> offset in the expression, in code points."""
    for data in _all(source, _SOURCE_POSITIONS):
        entry = _parse(data)
        yield _number(entry, 1), _number(entry, 2)


def _parse(data: bytes) -> Message:
    """One protobuf message as field number -> values; a sub-message stays bytes."""
    fields: dict[int, list[int | bytes]] = {}
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        value, at = _value(data, at, key & 7)
        fields.setdefault(key >> 3, []).append(value)
    return fields


def _value(data: bytes, at: int, wire_type: int) -> tuple[int | bytes, int]:
    if wire_type == _VARINT:
        return _varint(data, at)
    if wire_type == _BYTES:
        length, at = _varint(data, at)
    else:
        length = {_FIXED64: 8, _FIXED32: 4}[wire_type]
    return data[at : at + length], at + length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[at]
        result |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return result, at


def _all(message: Message, *numbers: int) -> Iterator[bytes]:
    for number in numbers:
        for value in message.get(number, ()):
            if isinstance(value, bytes):
                yield value


def _one(message: Message, number: int) -> bytes:
    return next(_all(message, number), b"")


def _text(message: Message, number: int) -> str:
    return _one(message, number).decode()


def _number(message: Message, number: int) -> int:
    return next((v for v in message.get(number, ()) if isinstance(v, int)), 0)
