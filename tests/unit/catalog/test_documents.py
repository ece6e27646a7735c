"""Entries of documents, and the words of their problems."""

import pickle
from typing import Annotated

import pytest
from pydantic import AwareDatetime, Field

from catalog.base import Name, Trait, Value
from catalog.documents import DocumentError, Problem, checked, entries, read, unknown_sections


class Inner(Value):
    amount: int
    unit: str = ""


class Box(Value):
    items: Annotated[tuple[Inner, ...], Field(min_length=2)]


class Thing(Value):
    name: Name
    count: Annotated[int, Field(strict=True, ge=1, le=9)] = 1
    label: str = ""
    flag: int | str | bool = 0
    traits: frozenset[Trait] = frozenset()
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    named: dict[Name, Inner] = Field(default_factory=dict)
    password: str = ""
    at: AwareDatetime | None = None


def problems(body: str) -> list[str]:
    document = read(f"things:\n  a: {body}\n", "f.yaml")
    found: list[Problem] = []
    entries(document, "things", Thing, found)
    return [f"{p.path.removeprefix('things.a.')}: {p.message} | {p.value}" for p in sorted(found)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{count: '3'}", "count: must be a whole number; remove the quotes | '3'"),
        ("{count: 1.5}", "count: must be a whole number | '1.5'"),
        ("{count: true}", "count: must be a whole number | true"),
        ("{count: 10}", "count: must be at most 9 | 10"),
        ("{count: 0}", "count: must be at least 1 | 0"),
        ("{count: [1]}", "count: must be a whole number | a list"),
        ("{label: 5}", 'label: must be text; put it in quotes: "5" | 5'),
        ("{label: }", "label: must be text | nothing"),
        ("{flag: [1]}", "flag: must be a whole number or text or true or false | a list"),
        ("{traits: [ssd]}", "traits.0: must be a trait in capitals, digits and underscores, such as STORAGE_SSD | 'ssd'"),
        ("{traits: SSD}", "traits: must be a list | 'SSD'"),
        ("{cuont: 3}", "cuont: unknown field; did you mean 'count'? known are count, label, flag, traits, inner, many, named, password, at | 3"),
        ("{inner: {amuont: 3, amount: 1}}", "inner.amuont: unknown field; did you mean 'amount'? known are amount, unit | 3"),
        ("{many: [{amount: 1, x: 2}]}", "many.0.x: unknown field; known are amount, unit | 2"),
        ("{named: {b: {amount: 1, uint: x}}}", "named.b.uint: unknown field; did you mean 'unit'? known are amount, unit | 'x'"),
        ("{named: {B: {amount: 1}}}", "named.B: must be a name of lower-case letters, digits and inner hyphens, at most 63 characters | 'B'"),
        ("{inner: {}}", "inner.amount: is required and missing | "),
        ("{inner: 5}", "inner: must be a mapping | 5"),
        ("{at: 2026-10-01T10:00:00}", "at: must be a time with its zone, such as 2026-10-01T00:00:00+02:00 | '2026-10-01T10:00:00'"),
        ("{name: b}", "name: the name of an entry is its key, here 'a'; remove this field | 'b'"),
    ],
)  # fmt: skip
def test_a_mistake_says_what_was_expected_and_what_was_found(body: str, expected: str) -> None:
    assert problems(body) == [expected]


def test_a_name_in_the_body_does_not_rename_the_entry() -> None:
    document = read("things:\n  a: {name: b}\n", "f.yaml")
    found = entries(document, "things", Thing, [])
    assert found["a"][0].name == "a"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("[{amount: x}, {amount: 1}]", ["box.items.0.amount: must be a whole number"]),
        ("[{amount: 1}]", ["box.items: must be a list or mapping of at least 2"]),
    ],
)
def test_a_list_is_too_short_only_where_its_entries_are_right(body: str, expected: list[str]) -> None:
    document = read(f"box: {{items: {body}}}", "f.yaml")
    found: list[Problem] = []
    assert checked(document, ("box",), Box, document.tree["box"], found) is None
    assert [f"{p.path}: {p.message}" for p in found] == expected


def test_an_entry_of_a_list_that_lacks_its_name_is_told_so() -> None:
    document = read("things: [{count: 2}, {name: B, count: 10}]", "f.yaml")
    found: list[Problem] = []
    for index, body in enumerate(document.tree["things"]):
        checked(document, ("things", index), Thing, body, found)
    assert [f"{p.path}: {p.message}" for p in found] == [
        "things.0.name: is required and missing",
        "things.1.name: must be a name of lower-case letters, digits and inner hyphens, at most 63 characters",
        "things.1.count: must be at most 9",
    ]


@pytest.mark.parametrize("name", ["Tier 1", "-a", "a-", "a" * 64, "a\\n", ""])
def test_a_bad_name_is_reported_at_its_key(name: str) -> None:
    document = read(f'things:\n  "{name}": {{}}\n', "f.yaml")
    found: list[Problem] = []
    assert entries(document, "things", Thing, found) == {}
    assert {(p.line, p.column) for p in found} == {(2, 3)}


def test_a_number_as_name_asks_for_quotes() -> None:
    document = read("things:\n  5: {}\n", "f.yaml")
    found: list[Problem] = []
    entries(document, "things", Thing, found)
    assert [p.message for p in found] == ['must be text; put it in quotes: "5"']


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("things: [1]", "must be a mapping from name to entry"),
        ("things: 5", "must be a mapping from name to entry"),
        ("things:\n  a: 5", "must be a mapping"),
        ("things:\n  a:", "must be a mapping"),
    ],
)
def test_a_section_or_entry_of_another_kind_is_a_problem(text: str, message: str) -> None:
    found: list[Problem] = []
    assert entries(read(text, "f.yaml"), "things", Thing, found) == {}
    assert [p.message for p in found] == [message]


def test_a_section_that_is_absent_or_empty_has_no_entries() -> None:
    for text in ("other: {}", "things:", "things: {}"):
        found: list[Problem] = []
        assert entries(read(text, "f.yaml"), "things", Thing, found) == {}
        assert found == []


@pytest.mark.parametrize(
    "body",
    [
        "{password: {deep: hunter2}}",
        "{password: [hunter2]}",
        "{db_password: hunter2}",
        "{api-key: hunter2}",
        "{apiToken: hunter2}",
        "{label: {x: hunter2}}",
        "{inner: [hunter2]}",
        "{many: 'https://root:hunter2@host/'}",
    ],
)
def test_what_may_be_a_secret_is_never_repeated(body: str) -> None:
    found = problems(body)
    assert found
    assert "hunter2" not in "".join(found)


def test_a_long_value_is_cut() -> None:
    (said,) = problems(f"{{count: {'x' * 500}}}")
    assert len(said) < 150


def test_every_problem_of_an_entry_is_reported() -> None:
    assert len(problems("{count: x, label: 5, traits: [a, b], inner: {}, zzz: 1}")) == 6


def test_unknown_sections_name_the_close_one_and_all() -> None:
    (problem,) = unknown_sections(read("a: 1\ntirs: {}\n", "f.yaml"), ["tiers", "a"])
    assert (problem.line, problem.message) == (
        2,
        "unknown section; did you mean 'tiers'? known are a, tiers",
    )


def test_a_document_error_lists_problems_by_file_and_line_and_survives_pickling() -> None:
    later, sooner = Problem("b", 1, 1, "", "", "x"), Problem("a", 10, 1, "p", "'v'", "must be y")
    error = DocumentError([later, sooner, later])
    assert error.problems == (sooner, later)
    assert str(error) == "a:10:1: p: must be y (found 'v')\nb:1:1: x"
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.problems, str(copy)) == (error.problems, str(error))


def test_a_problem_stands_at_the_nearest_place_that_is_written() -> None:
    document = read("a:\n  b: {c: 1}\n", "f.yaml")
    assert document.problem(("a", "b", "x", 0), "m").line == 2
    assert document.problem(("z",), "m").line == 1
    assert checked(document, ("a", "b"), Thing, {"name": "ok"}, []) == Thing(name="ok")
