"""Documents of class rules -> rules, or every problem with its file, line and column.

::

    format: tierwise-classes/1
    weighing: {needs_eye_below: 0.6}
    class_rules:
      sql-servers:
        when: {guest_os: "*windows server*", name: ["*sql*", "*-db-*"]}
        workload_class: database
        facts: {software: [windows-server]}
"""

from collections.abc import Iterator

from catalog.catalog import Catalog
from catalog.documents import (
    DocumentError,
    Located,
    Path,
    Problem,
    checked,
    entries,
    parse,
    unknown_sections,
)
from catalog.estates.class_rules import NEAREST, ClassRule, ClassRules, Weighing
from catalog.estates.classified import AS_IS
from catalog.wording import known_names

FORMAT = "tierwise-classes/1"
_FORMAT, _WEIGHING, _RULES = "format", "weighing", "class_rules"


def load_class_rules(text: str, file: str, catalog: Catalog) -> ClassRules:
    """The rules of one text, checked against the catalog. Raises DocumentError with every problem found."""
    document, of_yaml = parse(text, file)
    problems: list[Problem] = []
    found = ClassRules() if document is None else _read(document, catalog, problems)
    unread = {problem.path for problem in of_yaml}
    problems = [*of_yaml, *(problem for problem in problems if problem.path not in unread)]
    if problems:
        raise DocumentError(problems)
    return found


def _read(document: Located, catalog: Catalog, problems: list[Problem]) -> ClassRules:
    problems += _format(document)
    problems += unknown_sections(document, (_FORMAT, _WEIGHING, _RULES))
    weighing = checked(document, (_WEIGHING,), Weighing, document.tree.get(_WEIGHING) or {}, problems)
    found = entries(document, _RULES, ClassRule, problems)
    if not document.tree.get(_RULES):
        message = f"has no rule; write at least one under {_RULES}:"
        problems.append(document.problem((_RULES,), message))
    content = document.tree.get(_RULES)
    for name, body in content.items() if isinstance(content, dict) else ():
        problems += (document.problem((_RULES, name, *at), *said) for at, said in _strangers(body, catalog))
    return ClassRules(rules=tuple(rule for rule, _ in found.values()), weighing=weighing or Weighing())


def _format(document: Located) -> Iterator[Problem]:
    given = document.tree.get(_FORMAT)
    if given != FORMAT:
        shown = () if given is None else (given,)
        yield document.problem((_FORMAT,), f"must be {FORMAT}: this is what the file is read as", *shown)


def _strangers(body: object, catalog: Catalog) -> Iterator[tuple[Path, tuple[str, object]]]:
    """What a rule names and the catalog does not have; as it is written, so that other mistakes hide none of it."""
    if not isinstance(body, dict):
        return
    facts = body.get("facts")
    tier = facts.get("tier") if isinstance(facts, dict) else None
    if isinstance(tier, str) and tier not in catalog.tiers:
        yield (
            ("facts", "tier"),
            (f"there is no tier of that name; {known_names(tier, catalog.tiers)}", tier),
        )
    wanted, size = body.get("workload_class"), body.get("size", NEAREST)
    if not isinstance(wanted, str):
        return
    its_class = catalog.classes.get(wanted)
    if its_class is None:
        known = known_names(wanted, catalog.classes)
        yield ("workload_class",), (f"there is no workload class of that name; {known}", wanted)
        return
    if isinstance(size, str) and size not in {NEAREST, AS_IS, *its_class.sizes}:
        known = known_names(size, [NEAREST, AS_IS, *its_class.sizes])
        yield ("size",), (f"class '{its_class.name}' has no size of that name; {known}", size)
    if tier in catalog.tiers and tier not in its_class.allowed_tiers:
        allowed = ", ".join(its_class.allowed_tiers)
        message = f"class '{its_class.name}' may not run there; its allowed_tiers are {allowed}"
        yield ("facts", "tier"), (message, tier)
