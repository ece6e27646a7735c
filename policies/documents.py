"""Rule documents: the section ``rules:`` of YAML texts -> rules, or every problem with its place.

::

    rules:
      data-residency:
        kind: residency
        summary: confidential data stays in Germany
        when: request.data_classification in ['confidential', 'restricted']
        countries: [DE]
        examples:
          - {request: {data_classification: confidential}, pool: {country: NL}, expect: refused}
          - {request: {data_classification: internal}, pool: {country: NL}, expect: allowed}
"""

from collections.abc import Iterator, Mapping

from catalog.catalog import Catalog
from catalog.documents import DocumentError, Located, Path, Problem, checked, parse
from catalog.wording import known_names
from policies import predicates
from policies.facts import party_vocabulary, pool_vocabulary, request_vocabulary
from policies.kinds import rule_kinds
from policies.predicates import Compiler, Predicate
from policies.rule import QuotaRule, Rule, RuleDocument
from policies.trial import try_example

SECTION = "rules"


def load_rules(texts: Mapping[str, str], catalog: Catalog) -> tuple[Rule, ...]:
    """The rules of all texts (file name -> text) in order of their names, tried on their examples.

    Sections other than ``rules`` are not looked at. Raises DocumentError with every problem found.
    """
    loader = _Loader(texts, catalog)
    for file in sorted(texts):
        loader.read(texts[file], file)
    if loader.problems:
        raise DocumentError(loader.problems)
    return tuple(loader.rules[name] for name in sorted(loader.rules))


class _Loader:
    def __init__(self, texts: Mapping[str, str], catalog: Catalog) -> None:
        self.problems: list[Problem] = []
        self.rules: dict[str, Rule] = {}
        self._texts = texts
        self._catalog = catalog
        self._kinds = rule_kinds()
        self._vocabulary = request_vocabulary(catalog) | pool_vocabulary()
        self._compilers = {
            False: Compiler(self._vocabulary, catalog),
            True: Compiler(party_vocabulary(catalog), catalog),
        }
        self._first: dict[str, Problem] = {}

    def read(self, text: str, file: str) -> None:
        """Take the rules of one file; at a value that YAML readers differ on, only that is reported."""
        document, of_yaml = parse(text, file)
        before = len(self.problems)
        if document is not None:
            self._add(document)
        unread = {p.path for p in of_yaml}
        self.problems[before:] = [*of_yaml, *(p for p in self.problems[before:] if p.path not in unread)]

    def _add(self, document: Located) -> None:
        content = document.tree.get(SECTION)
        if content is None:
            return
        if not isinstance(content, dict):
            self.problems.append(
                document.problem((SECTION,), "must be a mapping from name to rule", content)
            )
            return
        for name, body in content.items():
            self._add_rule(document, (SECTION, name), body)

    def _add_rule(self, document: Located, path: Path, body: object) -> None:
        if self._is_second(document, path):
            return
        found = self._document(document, path, body)
        if found is None:
            return
        mistakes = [document.problem((*path, *at), m) for at, m in found.mistakes(self._catalog)]
        predicate = self._predicate(document, path, found)
        self.problems += mistakes
        if predicate is not None and not mistakes:
            rule = Rule(found, predicate)
            self.rules[found.name] = rule
            self.problems += self._trials(document, path, rule)

    def _is_second(self, document: Located, path: Path) -> bool:
        name = str(path[-1])
        here = document.problem(path, "")
        first = self._first.setdefault(name, here)
        if first is here:
            return False
        message = (
            f"this rule stands already in {first.file}, line {first.line}; give one of them another name"
        )
        self.problems.append(document.problem(path, message))
        return True

    def _document(self, document: Located, path: Path, body: object) -> RuleDocument | None:
        if not isinstance(body, dict):
            self.problems.append(document.problem(path, "must be a mapping", body))
            return None
        if "name" in body:
            message = f"the name of a rule is its key, here '{path[-1]}'; remove this field"
            self.problems.append(document.problem((*path, "name"), message))
        model = self._kind(document, path, body.get("kind"))
        if model is None:
            return None
        return checked(document, path, model, {**body, "name": path[-1]}, self.problems)

    def _kind(self, document: Located, path: Path, kind: object) -> type[RuleDocument] | None:
        if isinstance(kind, str) and kind in self._kinds:
            return self._kinds[kind]
        known = known_names(kind, self._kinds)
        if kind is None:
            problem = document.problem(path, f"needs a kind; {known}")
        else:
            problem = document.problem((*path, "kind"), f"unknown kind; {known}", kind)
        self.problems.append(problem)
        return None

    def _predicate(self, document: Located, path: Path, found: RuleDocument) -> Predicate | None:
        compiled = self._compilers[isinstance(found, QuotaRule)].compile(found.when)
        if isinstance(compiled, Predicate):
            return compiled
        text = self._texts[document.file]
        self.problems += (_in_file(document, text, (*path, "when"), found.when, m) for m in compiled)
        return None

    def _trials(self, document: Located, path: Path, rule: Rule) -> Iterator[Problem]:
        for i, example in enumerate(rule.document.examples):
            for at, message in try_example(rule, example, self._vocabulary, self._catalog):
                yield document.problem((*path, "examples", i, *at), message)


def _in_file(
    document: Located, text: str, path: Path, predicate: str, mistake: predicates.Mistake
) -> Problem:
    """The mistake at its own place in the file, where YAML wrote the predicate's line as it is."""
    line, column = document.positions[path]
    rows = text.split("\n")
    is_block = rows[line - 1][column - 1 :].startswith("|")
    at = line - 1 + mistake.line - (0 if is_block else 1)
    wanted = predicate.split("\n")[mistake.line - 1]
    start = rows[at].find(wanted, 0 if is_block else column - 1) if at < len(rows) else -1
    if not wanted or start < 0:
        where = f"{mistake.message} (line {mistake.line}, column {mistake.column} of the predicate)"
        return document.problem(path, where)
    dotted = ".".join(str(part) for part in path)
    return Problem(document.file, at + 1, start + mistake.column, dotted, "", mistake.message)
