"""Predicates in CEL, the Common Expression Language: checked when loaded, evaluated without side effects.

The evaluator bounds its own work ("iteration budget") and has no loops, clock or I/O. What cannot be
evaluated is `Undecided`; callers refuse then, so a broken rule never lets anything through.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cel_expr_python import cel

from catalog.catalog import Catalog
from catalog.wording import known_names
from policies.facts import Fact
from policies.syntax import Comparison, comparisons

_PROBLEM = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_GRPC_CODE = re.compile(r"^[A-Z_]+: |\s*\[[A-Z_]+\]$")
_EXPECTED = re.compile(r" expecting \{.*\}")
_TYPES = {
    "string": cel.Type.STRING,
    "int": cel.Type.INT,
    "bool": cel.Type.BOOL,
    "list(string)": cel.Type.List(cel.Type.STRING),
    "dyn": cel.Type.DYN,
}


@dataclass(frozen=True)
class Mistake:
    """What is wrong with a predicate, and where in its text; line and column start at 1."""

    line: int
    column: int
    message: str


@dataclass(frozen=True)
class Undecided:
    """A predicate gave neither yes nor no; `reason` is the evaluator's, in one line."""

    reason: str


@dataclass(frozen=True, eq=False)
class Predicate:
    """A checked yes-or-no expression over facts; `names` are the facts that it names, sorted."""

    text: str
    names: tuple[str, ...]
    expression: Any

    @property
    def reads_pool(self) -> bool:
        """Whether the answer can differ between pools."""
        return any(name.startswith("pool.") for name in self.names)

    def holds(self, facts: Mapping[str, Any]) -> bool | Undecided:
        """Whether it is true of `facts` (by name); facts that it needs and that miss make it undecided."""
        try:
            answer = self.expression.eval(data=facts)
        except RuntimeError as error:  # the budget; all other errors come as values
            return Undecided(_one_line(str(error)))
        if answer.type() == cel.Type.BOOL:
            return bool(answer.value())
        if answer.type() == cel.Type.ERROR:
            return Undecided(_one_line(str(answer.value())))
        return Undecided(f"it gives {answer.type().name().lower()}, not true or false")


class Compiler:
    """Turns texts into predicates over one vocabulary; making one is dear, so make it once."""

    def __init__(self, vocabulary: Mapping[str, Fact], catalog: Catalog) -> None:
        self._vocabulary = vocabulary
        self._catalog = catalog
        self._env = cel.NewEnv(variables={name: _TYPES[fact.type] for name, fact in vocabulary.items()})

    def compile(self, text: str) -> Predicate | list[Mistake]:
        """The predicate, or everything that is wrong with it."""
        try:
            expression = self._env.compile(text)
        except RuntimeError as error:
            return list(_mistakes(str(error), self._vocabulary))
        kind = expression.return_type()
        if kind != cel.Type.BOOL:
            return [Mistake(1, 1, f"must be true or false, and this is {kind.name().lower()}")]
        syntax = comparisons(expression.serialize(), text)
        impossible = [m for c in syntax.comparisons for m in self._impossible(c)]
        return impossible or Predicate(
            text, tuple(sorted(syntax.names & set(self._vocabulary))), expression
        )

    def _impossible(self, comparison: Comparison) -> Iterator[Mistake]:
        """A fact is compared with a text it never has: `tenant == 'payrol'` would silently never apply."""
        fact = self._vocabulary.get(comparison.fact)
        if fact is None or fact.domain is None:
            return
        known = fact.domain(self._catalog)
        for text in comparison.texts:
            if text.value not in known:
                yield Mistake(text.line, text.column, fact.never(text.value, known))


def _mistakes(error: str, vocabulary: Mapping[str, Fact]) -> Iterator[Mistake]:
    found = False
    for line, column, message in _PROBLEM.findall(error):
        found = True
        yield Mistake(int(line), int(column), _message(message, vocabulary))
    if not found:
        yield Mistake(1, 1, _one_line(error))


def _message(message: str, vocabulary: Mapping[str, Fact]) -> str:
    text = _EXPECTED.sub("", _one_line(message)).replace(" (in container '')", "")
    text = text[:1].lower() + text[1:]
    if text.startswith("undeclared reference"):
        return f"{text}; {_known(text, vocabulary)}"
    return text


def _known(text: str, vocabulary: Mapping[str, Fact]) -> str:
    """All facts are named, and not only a dozen: this is where their list is looked for."""
    wanted = text.partition("'")[2].partition("'")[0]
    question, mark, _ = known_names(wanted, vocabulary).partition("? ")
    return (
        f"{question}{mark}known are {', '.join(vocabulary)}"
        if mark
        else f"known are {', '.join(vocabulary)}"
    )


def _one_line(text: str) -> str:
    return _GRPC_CODE.sub("", text.strip().splitlines()[0] if text.strip() else "no reason given")
