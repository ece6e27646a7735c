"""YAML text -> checked entries, and every problem with file, line, column, value and expectation.

The same reader serves the catalog, rule documents and rate cards: a document is a mapping of
sections, and a section is a mapping from name to entry::

    tiers:
      tier-1: {rank: 1, title: Production, purpose: ...}

Values keep their YAML types, except that numbers with a fraction and dates arrive as `str`, so that
no price ever passes through a binary float; a key that stands twice is a problem, never a silent
overwrite. What YAML readers disagree about (``NO``, ``010``, ``22:30``, ``<<``) is a problem too.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import isclass
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from catalog.base import Value
from catalog.problems import DocumentError, Path, Problem, dotted
from catalog.refusals import REFUSED
from catalog.wording import expectation, known_names, shown
from catalog.yaml_nodes import read_values

__all__ = [
    "DocumentError",
    "Located",
    "Path",
    "Problem",
    "checked",
    "entries",
    "parse",
    "read",
    "unknown_sections",
]

V = TypeVar("V", bound=Value)

_ANY = object()


@dataclass(frozen=True)
class Located:
    """A plain value tree of one document, and where each of its paths stands in the file.

    A scalar stands where it starts; a mapping or list stands at its key.
    """

    file: str
    tree: Any
    positions: Mapping[Path, tuple[int, int]]

    def problem(self, path: Path, message: str, value: object = _ANY) -> Problem:
        """A problem at `path`, or at the nearest place above it that is written in the file.

        The value is shown in short; not at all where its path says that it may be a secret.
        """
        known = path
        while known and known not in self.positions:
            known = known[:-1]
        line, column = self.positions.get(known, (1, 1))
        found = "" if value is _ANY else shown(value, path)
        return Problem(self.file, line, column, dotted(path), found, message)


def parse(text: str, file: str) -> tuple[Located | None, list[Problem]]:
    """One YAML text as far as it can be read, and what is wrong with it as YAML.

    None where it is not YAML or not a mapping. Where there are problems and a document, a value that
    has one stands in the tree as its text: check the rest, and drop what is found at the same path.
    """
    reading = read_values(text, file)
    tree = reading.tree
    if tree is not None and not isinstance(tree, dict):
        reading.add((1, 1), (), "must be a mapping of sections", shown(tree))
    if not isinstance(tree, dict):
        # A text of only "null" or "~" is like an empty one, not a mistake of its own.
        empty = tree is None and not reading.problems
        return (Located(file, {}, {(): (1, 1)}) if empty else None), reading.problems
    return Located(file, tree, reading.positions), reading.problems


def read(text: str, file: str) -> Located:
    """Parse one YAML text. Raises DocumentError where it is not YAML or not a mapping."""
    document, problems = parse(text, file)
    if problems or document is None:
        raise DocumentError(problems)
    return document


def entries(
    document: Located, section: str, model: type[V], problems: list[Problem]
) -> dict[str, tuple[V, Path]]:
    """The valid entries of one section, each with its path; what is wrong goes into `problems`.

    Each entry of the section is a mapping without its name; the key is passed as ``name``.
    """
    found: dict[str, tuple[V, Path]] = {}
    content = document.tree.get(section)
    if content is None:
        return found
    if not isinstance(content, dict):
        problems.append(document.problem((section,), "must be a mapping from name to entry", content))
        return found
    for name, body in content.items():
        path: Path = (section, name)
        if not isinstance(body, dict):
            problems.append(document.problem(path, "must be a mapping", body))
            continue
        if "name" in body:
            message = f"the name of an entry is its key, here '{name}'; remove this field"
            problems.append(document.problem((*path, "name"), message, body["name"]))
        entry = checked(document, path, model, {**body, "name": name}, problems)
        if entry is not None:
            found[str(name)] = (entry, path)
    return found


def checked(
    document: Located, path: Path, model: type[V], body: object, problems: list[Problem]
) -> V | None:
    """`body` as a `model`, or None with every problem of it added to `problems`."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        problems.extend(_problems(document, path, model, body, error))
        return None


def unknown_sections(document: Located, known: Iterable[str]) -> list[Problem]:
    """A problem for each section of the document that nobody reads."""
    names = sorted(known)
    return [
        document.problem((key,), f"unknown section; {known_names(key, names)}", str(key))
        for key in document.tree
        if key not in names
    ]


def _problems(
    document: Located, path: Path, model: type[BaseModel], body: object, error: ValidationError
) -> Iterator[Problem]:
    """One problem a place: what each branch of a union expected is joined with "or".

    Where a branch says what is wrong inside the value, the others, which expected another kind of value, say nothing.
    """
    by_place: dict[Path, list[tuple[str, object]]] = {}
    details = error.errors(include_url=False)
    places = [_written(detail, body) for detail in details]
    named_by_key = isinstance(body, Mapping) and bool(path) and str(path[-1]) == str(body.get("name"))
    for detail, at in zip(details, places, strict=True):
        # Entries with a mistake are not counted, so that a list of them also seems too short.
        is_outer = _is_branch(detail, at) or detail["type"] == "too_short"
        if is_outer and any(len(p) > len(at) and p[: len(at)] == at for p in places):
            continue
        fields = _fields_at(model, at[:-1])
        if named_by_key and len(at) == 1:
            fields = [one for one in fields if one != "name"]
        said = expectation(detail, fields)
        by_place.setdefault(at, []).append((said, _value(detail)))
    for at, found in by_place.items():
        messages = list(dict.fromkeys(said for said, _ in found))
        # The key stands in the file where the entry's name is checked; an entry of a list has no key.
        place = path if named_by_key and at == ("name",) else (*path, *at)
        yield document.problem(place, _joined(messages), found[0][1])


def _joined(messages: Sequence[str]) -> str:
    start = "must be "
    if len(messages) > 1 and all(m.startswith(start) for m in messages):
        return start + " or ".join(m.removeprefix(start) for m in messages)
    return "; ".join(messages)


def _written(detail: Any, body: object) -> Path:
    """Where a mistake stands in `body`: its location without the names of union branches."""
    found: list[str | int] = []
    last = len(detail["loc"]) - 1
    for i, part in enumerate(detail["loc"]):
        is_here, inner = _child(body, part)
        is_absent = isinstance(body, Mapping) and detail["input"] != body
        is_absent_field = i == last and (detail["type"] == "missing" or is_absent)
        if is_here or is_absent_field:
            found.append(part)
        body = inner if is_here else body
    return tuple(part for part in found if part != "[key]")


def _is_branch(detail: Any, at: Path) -> bool:
    """Whether a mistake is that of one branch of a union, whose name ends its location."""
    return bool(detail["loc"]) and detail["loc"][-1] != "[key]" and detail["loc"][-1:] != at[-1:]


def _child(body: object, part: str | int) -> tuple[bool, object]:
    if isinstance(body, Mapping):
        return part in body, body.get(part)
    is_item = isinstance(body, list | tuple) and isinstance(part, int) and 0 <= part < len(body)
    return is_item, body[part] if is_item else None  # type: ignore[index] # mypy does not follow is_item


def _fields_at(model: type[BaseModel], at: Path) -> list[str]:
    """The fields that can stand at a path inside `model`; none where it is not a model's."""
    kind: Any = model
    for part in at:
        if isclass(kind) and issubclass(kind, BaseModel):
            by_name = {f.alias or name: f.annotation for name, f in kind.model_fields.items()}
            kind = _inner(by_name.get(str(part)))
        else:
            kind = _inner(get_args(kind)[-1] if get_args(kind) else None)
    if not (isclass(kind) and issubclass(kind, BaseModel)):
        return []
    return [f.alias or name for name, f in kind.model_fields.items()]


def _inner(kind: Any) -> Any:
    """A type without its annotations and without ``| None``."""
    if get_origin(kind) is Annotated:
        return _inner(get_args(kind)[0])
    if type(None) in get_args(kind):
        return _inner(next(arg for arg in get_args(kind) if arg is not type(None)))
    if get_origin(kind) is tuple:
        return list[get_args(kind)[0]]  # type: ignore[misc] # a type made from a value
    return kind


def _value(detail: Any) -> object:
    """What was found; nothing where there is nothing, or where the message says it already."""
    if detail["type"] in {"missing", "value_error"}:
        return _ANY
    is_absent = detail["type"] == REFUSED and detail["input"] is None
    return _ANY if is_absent else detail["input"]
