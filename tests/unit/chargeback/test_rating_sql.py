"""What the rating query and the package around it must not contain."""

import ast
from pathlib import Path

import ibis
import pytest
import sqlglot
from sqlglot import expressions as sql

import chargeback
from chargeback import rating_sql
from chargeback.rating_expressions import births, module_text, seen, sums, sums_by_level

FORBIDDEN = (sql.Div, sql.IntDiv, sql.Avg, sql.Round, sql.Ceil, sql.Floor)
EXACT = {"DECIMAL(38, 0)", "INT128", "HUGEINT"}


def complaints(text: str, dialect: str) -> list[str]:
    tree = sqlglot.parse_one(text, dialect=dialect)
    found = [type(node).__name__ for node in tree.find_all(*FORBIDDEN)]
    if dialect == "duckdb":  # Spark's own CAST is parsed as one that tries.
        found += ["TryCast" for _ in tree.find_all(sql.TryCast)]
    for cast in tree.find_all(sql.Cast):
        kind = cast.to.sql(dialect)
        if kind not in EXACT:
            found.append(f"cast to {kind}")
    return found


@pytest.mark.parametrize("dialect", ["duckdb", "pyspark"])
def test_the_query_only_adds_multiplies_and_compares(dialect: str) -> None:
    everything = (sums(by_machine=False), sums(by_machine=True), sums_by_level(), births(), seen())
    for expression in everything:
        text = str(ibis.to_sql(expression, dialect=dialect))
        assert complaints(text, "spark" if dialect == "pyspark" else dialect) == []


def test_the_text_that_runs_is_the_expression_of_today() -> None:
    # After a change: python -m chargeback.rating_expressions > rating_sql.py, then read the difference.
    assert Path(rating_sql.__file__).read_text() == module_text()


@pytest.mark.parametrize(
    "text",
    [
        "SELECT a / 3600 FROM t",
        "SELECT a // 3600 FROM t",
        "SELECT AVG(a) FROM t",
        "SELECT ROUND(a, 2) FROM t",
        "SELECT CAST(a AS DOUBLE) FROM t",
        "SELECT CAST(a AS DECIMAL(18, 2)) FROM t",
        "SELECT SUM(a)::INTEGER FROM t",
        "SELECT TRY_CAST(a AS DECIMAL(38, 0)) FROM t",
    ],
)
def test_the_check_itself_sees_each_forbidden_thing(text: str) -> None:
    assert complaints(text, "duckdb")


def test_nothing_in_the_package_divides_to_a_float_or_writes_one() -> None:
    found = []
    for file in sorted(Path(chargeback.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            divides = isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)
            floats = isinstance(node, ast.Constant) and isinstance(node.value, float)
            names = isinstance(node, ast.Name) and node.id in {"float", "round", "Decimal"}
            if divides or floats or names:
                found.append(f"{file.name}:{node.lineno}")
    assert found == []


def test_the_package_has_no_clock_no_files_and_no_chance() -> None:
    clocks = {"now", "utcnow", "today", "open", "read_text", "environ", "randint", "getenv"}
    found = []
    for file in sorted(Path(chargeback.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            name = node.id if isinstance(node, ast.Name) else getattr(node, "attr", None)
            if name in clocks:
                found.append(f"{file.name}:{node.lineno}: {name}")
    assert found == []
