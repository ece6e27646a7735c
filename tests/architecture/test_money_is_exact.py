"""chargeback computes with integers and decimals; a binary float never touches money.

A line that needs one for something that is not money says so: `# not money: <what it is>`.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

EXCEPTION = re.compile(r"# not money: \w+ \w+")
INEXACT = re.compile(r"^(float(16|32|64)?|double|Float(32|64)?|Double|fsum|half)$")
INEXACT_SQL = re.compile(r"\b(DOUBLE|REAL|FLOAT[48]?)\b")


def breaches(path: Path, source: str) -> Iterator[str]:
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        why = _why(node)
        if why and not EXCEPTION.search(lines[node.lineno - 1]):  # type: ignore[attr-defined]  # these nodes have lines
            yield f"{path}:{node.lineno}: {why}"  # type: ignore[attr-defined]  # as above


def _why(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=float() as value):
            return f"float literal {value}"
        case ast.Constant(value=str() as text) if INEXACT.match(text) or re.search(
            rf"CAST\(.*{INEXACT_SQL.pattern}", text
        ):
            return f"names a float type: {text}"
        case ast.Name(id=name) if INEXACT.match(name):
            return f"uses {name}"
        case ast.Attribute(attr=name) if INEXACT.match(name):
            return f"uses .{name}"
    return ""


def test_no_float_is_used_where_money_is_computed(sources: dict[Path, str]) -> None:
    chargeback = {path: source for path, source in sources.items() if path.parts[0] == "chargeback"}
    assert chargeback
    assert [breach for path, source in chargeback.items() for breach in breaches(path, source)] == []


def test_each_kind_of_float_is_found() -> None:
    planted = [
        "rate = 0.018",
        "x = float(y)",
        "def f(rate: float) -> int: ...",
        "t = np.float64",
        "column.cast('float64')",
        "sql = 'SELECT CAST(a AS DOUBLE)'",
        "total = math.fsum(parts)",
    ]
    assert [line for line in planted if len(list(breaches(Path("x.py"), line))) != 1] == []


def test_integers_decimals_and_named_exceptions_are_left_alone() -> None:
    exact = [
        "rate_nanos = 18_000_000",
        "Decimal('0.018')",
        "share = 0.5  # not money: width of a column",
        "'a floating rate'",
    ]
    assert [breach for line in exact for breach in breaches(Path("x.py"), line)] == []
