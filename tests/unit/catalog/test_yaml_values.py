"""What the reader makes of YAML's traps."""

import pytest

from catalog.documents import DocumentError, parse, read
from catalog.yaml_nodes import MAX_DEPTH


def only_problem(text: str) -> tuple[int, int, str]:
    with pytest.raises(DocumentError) as caught:
        read(text, "f.yaml")
    (problem,) = caught.value.problems
    return problem.line, problem.column, problem.message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.50", "1.50"),
        (".inf", ".inf"),
        ("2026-10-01", "2026-10-01"),
        ("1_000", 1000),
        ("0x1F", 31),
        ("-7", -7),
        ("0", 0),
        ("true", True),
        ("False", False),
        ("", None),
        ("~", None),
        ("'NO'", "NO"),
        ('"010"', "010"),
        ("y", "y"),
        ("=", "="),
        ("10.0.0.1:8989", "10.0.0.1:8989"),
        ("1e3", "1e3"),
        ('"two\\nlines\\tand a tab"', "two\nlines\tand a tab"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_a_scalar_is_read_as_its_author_meant(text: str, value: object) -> None:
    found = read(f"key: {text}\n", "f.yaml").tree["key"]
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("word", ["NO", "no", "yes", "On", "off"])
def test_a_word_that_only_some_readers_take_for_a_boolean_is_refused_with_both_ways_to_write_it(
    word: str,
) -> None:
    line, column, message = only_problem(f"a:\n  country: {word}\n")
    assert (line, column) == (2, 12)
    assert f'write "{word}" in quotes' in message
    assert message.endswith(("or true", "or false"))


@pytest.mark.parametrize("number", ["010", "0b101", "22:30", "0_7"])
def test_a_number_that_readers_take_differently_is_refused(number: str) -> None:
    assert f'"{number}" in quotes' in only_problem(f"a: {number}\n")[2]


def test_a_number_of_5000_digits_is_refused_before_it_is_built() -> None:
    assert "5000 digits" in only_problem(f"a: {'9' * 5000}")[2]
    assert "5002 digits" in only_problem(f"a: 0x{'f' * 5000}")[2]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a:\n\t- b\n", (2, 1), "a tab cannot indent; use spaces"),
        ("a: 1\n---\nb: 2\n", (2, 1), "second document"),
        ("a: b: c\n", (1, 5), "a colon cannot stand here"),
        ("a: [1, 2\n", (2, 1), "expected ',' or ']'"),
        ("a: *nobody\n", (1, 4), "undefined alias"),
        ("a: 1\n\0", (2, 1), "U+0000"),
        ("a: \ud800\n", (1, 4), "U+D800"),
        ("\x7fELF\x02", (1, 1), "U+007F"),
        ("- 1\n- 2\n", (1, 1), "must be a mapping of sections"),
        ("just words", (1, 1), "must be a mapping of sections"),
        ('a: "\\0"\n', (1, 4), "control character U+0000"),
        ('a: "\\uD800"\n', (1, 4), "U+D800"),
        ('a: "\\e[31mred"\n', (1, 4), "U+001B"),
        ("a: !!python/object:os.system x\n", (1, 4), "tag !!python/object:os.system"),
        ("a: !mine {b: 1}\n", (1, 4), "tag !mine"),
        ("a: !!binary aGk=\n", (1, 4), "tag !!binary"),
        ("a: !!int abc\n", (1, 4), "abc"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", (3, 3), "merge keys"),
        ("? [1, 2]\n: x\n", (1, 3), "a key must be text"),
        ("true: x\n", (1, 1), "a key must be text"),
        ("~: x\n", (1, 1), "a key must be text"),
        ("a: {b: 1}\na: {b: 2}\n", (2, 1), "stands already in line 1"),
        ("1: x\n'1': y\n", (2, 1), "stands already in line 1"),
        ("a: &x [*x, *x]\n", (1, 4), "inside what it repeats"),
    ],
)
def test_what_cannot_be_read_is_one_problem_with_its_place(
    text: str, place: tuple[int, int], words: str
) -> None:
    line, column, message = only_problem(text)
    assert words in message
    assert (line, column) == place


def test_half_a_surrogate_pair_is_a_problem_and_can_still_be_checked_as_text() -> None:
    document, (problem,) = parse('a:\n  key: "\\uD800 x"\n', "f.yaml")
    assert (problem.line, problem.column) == (2, 8)
    assert problem.message == "must not hold the control character U+D800"
    assert document is not None
    assert document.tree == {"a": {"key": "? x"}}


def test_a_byte_order_mark_and_windows_line_ends_change_nothing() -> None:
    document = read("\ufeffa:\r\n  b: 1\r\n", "f.yaml")
    assert document.tree == {"a": {"b": 1}}
    assert document.positions["a", "b"] == (2, 6)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_a_hundred_thousand_open_brackets_are_a_problem_and_no_crash(opening: str) -> None:
    assert f"deeper than {MAX_DEPTH}" in only_problem(opening * 100_000)[2]


def test_aliases_that_multiply_stop_at_a_bound() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    assert "too many aliases" in only_problem("\n".join(lines))[2]


def test_aliases_that_nest_beyond_the_depth_stop_there() -> None:
    lines = ["a0: &a0 [x]", *(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 60))]
    assert f"deeper than {MAX_DEPTH}" in only_problem("\n".join(lines))[2]


def test_an_alias_repeats_a_value_and_a_copy_stands_on_its_own() -> None:
    tree = read("a: &x {b: [1]}\nc: *x\n", "f.yaml").tree
    tree["a"]["b"].append(2)
    assert tree["c"] == {"b": [1]}


def test_a_mapping_stands_where_its_key_stands_and_a_scalar_where_it_starts() -> None:
    positions = read("tiers:\n  tier-1:\n    rank: 1\n", "f.yaml").positions
    assert positions["tiers", "tier-1"] == (2, 3)
    assert positions["tiers", "tier-1", "rank"] == (3, 11)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "null\n", "\ufeff"])
def test_a_text_without_content_is_an_empty_mapping(text: str) -> None:
    assert read(text, "f.yaml").tree == {}
