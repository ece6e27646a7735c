"""Nothing is silenced without a code and a reason."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

SILENCER = re.compile(
    r"#\s*(?P<what>noqa|type:\s*ignore|pyright:\s*ignore|pragma:\s*no\s*cover)(?P<rest>[^#]*)(?P<more>.*)"
)
CODES = re.compile(r"^\s*(:\s*[A-Z]+[0-9]+(,\s*[A-Z]+[0-9]+)*|\[[a-z-]+(,\s*[a-z-]+)*\])")
WORDS = re.compile(r"[A-Za-z][A-Za-z0-9]*")
FEWEST_WORDS = 2


def comments(source: str) -> Iterator[tuple[int, str, bool]]:
    """Line number, text, and whether the comment stands alone, of every comment."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string, token.line.strip().startswith("#")


def breaches(path: Path, source: str) -> Iterator[str]:
    """Silencers without a code, or with no reason beside them or in the comment line above."""
    alone = {number for number, _, stands_alone in comments(source) if stands_alone}
    for number, text, _ in comments(source):
        silencer = SILENCER.search(text)
        if silencer is None:
            continue
        codes = CODES.match(silencer["rest"])
        if codes is None and not silencer["what"].startswith("pragma"):
            yield f"{path}:{number}: no code: {text}"
            continue
        before, after = (
            text[: silencer.start()],
            silencer["rest"][codes.end() if codes else 0 :] + silencer["more"],
        )
        if number - 1 not in alone and len(WORDS.findall(before + after)) < FEWEST_WORDS:
            yield f"{path}:{number}: no reason: {text}"


def unexplained(toml: str) -> list[str]:
    """Entries of ruff's ignore lists in pyproject.toml that have no comment on their line."""
    lint = toml[toml.index("[tool.ruff.lint]") :]
    end = re.search(r"^\[tool\.(?!ruff)", lint, re.MULTILINE)
    entries = [line.strip() for line in lint[: end.start() if end else None].splitlines()]
    return [
        line
        for line in entries
        if re.match(r'"[A-Z]+[0-9]*"', line) and len(WORDS.findall(line.partition("#")[2])) < FEWEST_WORDS
    ]


def test_every_silenced_line_has_a_code_and_a_reason(sources: dict[Path, str]) -> None:
    assert [breach for path, source in sources.items() for breach in breaches(path, source)] == []


def test_every_rule_that_ruff_ignores_has_its_reason(repository: Path) -> None:
    assert unexplained((repository / "pyproject.toml").read_text()) == []


def test_a_silencer_without_code_or_reason_is_found() -> None:
    noqa, ignore = "# no" + "qa", "# type: " + "ignore"
    assert [b.partition(": ")[2] for b in breaches(Path("x.py"), f"a = 1  {noqa}\nb = 2  {ignore}\n")] == [
        f"no code: {noqa}",
        f"no code: {ignore}",
    ]
    assert [
        b.partition(": ")[2]
        for b in breaches(Path("x.py"), f"a = 1  {noqa}: E501\nb = 2  {ignore}[attr-defined]\n")
    ] == [
        f"no reason: {noqa}: E501",
        f"no reason: {ignore}[attr-defined]",
    ]


def test_a_reason_beside_or_above_is_enough() -> None:
    noqa, ignore = "# no" + "qa", "# type: " + "ignore"
    good = [
        f"a = 1  {noqa}: E501, S603  the list is fixed\n",
        f"a = 1  {ignore}[attr-defined]  # the stubs lack it\n",
        f"# the stubs lack it\na = 1  {ignore}[attr-defined]\n",
        f'a = "{noqa}"\n',
    ]
    assert [breach for source in good for breach in breaches(Path("x.py"), source)] == []


def test_an_unexplained_rule_in_pyproject_is_found() -> None:
    toml = '[tool.ruff.lint]\nignore = [\n  "E501",  # long messages stay whole\n  "TD", "FIX",\n  "S1",  # so\n]\n[tool.mypy]\n'
    assert unexplained(toml) == ['"TD", "FIX",', '"S1",  # so']
