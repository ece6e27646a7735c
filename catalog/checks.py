"""What holds between entries: names once, references known, sizes and defaults that agree.

The checks read what is written rather than valid entries, so that a mistake in one field does not
hide the mistakes in others.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from catalog.base import Value
from catalog.documents import Located, Path, Problem
from catalog.offerings import Parameter, misnamed
from catalog.resources import ResourceClass
from catalog.wording import known_names


@dataclass(frozen=True)
class Written:
    """One entry as it is written: its place, its plain body, and the value if that is valid."""

    document: Located
    section: str
    name: str
    path: Path
    body: dict[str | int, Any]
    entry: Value | None

    def problem(self, at: Path, message: str, *value: object) -> Problem:
        """A problem inside this entry."""
        return self.document.problem((*self.path, *at), message, *value)

    def place(self) -> str:
        """Where the entry stands, for messages."""
        here = self.document.problem(self.path, "")
        return f"{here.file}, line {here.line}"


_REFERENCES = (
    ("pools", "tier", "tiers"),
    ("pools", "site", "sites"),
    ("pools", "endpoint", "endpoints"),
    ("tenants", "cost_centre", "cost_centres"),
    ("tenants", "parent", "tenants"),
    ("cost_centres", "parent", "cost_centres"),
    ("classes", "allowed_tiers", "tiers"),
    ("offerings", "workload_class", "classes"),
)
_NOUN = {
    "tiers": "tier",
    "sites": "site",
    "endpoints": "endpoint",
    "cost_centres": "cost centre",
    "tenants": "tenant",
    "classes": "workload class",
}


def check(written: Sequence[Written], unreadable: Sequence[str]) -> Iterator[Problem]:
    """Every problem between entries. `unreadable` files may hold names that seem to be missing."""
    yield from _names_stand_once(written)
    yield from _references_are_known(written, unreadable)
    yield from _parents_end(written)
    yield from _ranks_differ(written)
    yield from _providers_are_pooled_once(written)
    yield from _quotas_are_whole(written)
    yield from _parameters_do_what_they_say(written)
    yield from _offerings_fit_their_class(written)


def _of(written: Iterable[Written], section: str) -> list[Written]:
    return [w for w in written if w.section == section]


def _names_stand_once(written: Sequence[Written]) -> Iterator[Problem]:
    first: dict[tuple[str, str], Written] = {}
    for w in written:
        earlier = first.setdefault((w.section, w.name), w)
        if earlier is not w:
            yield w.problem((), f"this name stands already in {earlier.place()}; give one of them another")


def _references_are_known(written: Sequence[Written], unreadable: Sequence[str]) -> Iterator[Problem]:
    known = {target: dict.fromkeys(w.name for w in _of(written, target)) for target in _NOUN}
    doubt = f"; {', '.join(unreadable)} could not be read and may hold it" if unreadable else ""
    for section, field, target in _REFERENCES:
        for w in _of(written, section):
            for at, name in _names(w.body.get(field), (field,)):
                if name not in known[target]:
                    message = (
                        f"there is no {_NOUN[target]} of that name; {known_names(name, known[target])}"
                    )
                    yield w.problem(at, message + doubt, name)


def _names(value: object, at: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, list):
        yield from (((*at, i), name) for i, name in enumerate(value) if isinstance(name, str))


def _parents_end(written: Sequence[Written]) -> Iterator[Problem]:
    """Nothing is part of itself, by however many steps."""
    for section in ("cost_centres", "tenants"):
        entries = {w.name: w for w in _of(written, section)}
        parents = {name: w.body.get("parent") for name, w in entries.items()}
        for name, w in entries.items():
            chain: list[object] = [name]
            while isinstance(above := parents.get(str(chain[-1])), str) and above not in chain:
                chain.append(above)
            if above == name:
                circle = " -> ".join(map(str, [*chain, above]))
                yield w.problem(("parent",), f"is part of itself: {circle}; leave one parent out", above)


def _ranks_differ(written: Sequence[Written]) -> Iterator[Problem]:
    first: dict[int, Written] = {}
    for w in _of(written, "tiers"):
        rank = w.body.get("rank")
        if type(rank) is not int:
            continue
        earlier = first.setdefault(rank, w)
        if earlier.name != w.name:
            message = (
                f"tier '{earlier.name}' has this rank already ({earlier.place()}); "
                "each tier needs a rank of its own, 1 is the highest"
            )
            yield w.problem(("rank",), message, rank)


def _providers_are_pooled_once(written: Sequence[Written]) -> Iterator[Problem]:
    first: dict[tuple[str, str], Written] = {}
    for w in _of(written, "pools"):
        endpoint, provider = w.body.get("endpoint"), w.body.get("provider")
        if not isinstance(endpoint, str) or not isinstance(provider, str):
            continue
        earlier = first.setdefault((endpoint, provider), w)
        if earlier.name != w.name:
            message = (
                f"pool '{earlier.name}' is this provider of endpoint '{endpoint}' already "
                f"({earlier.place()}); its machines would be counted twice"
            )
            yield w.problem(("provider",), message, provider)


def _quotas_are_whole(written: Sequence[Written]) -> Iterator[Problem]:
    """What a quota leaves out would be zero, so that nothing could ever be ordered."""
    for w in _of(written, "tenants"):
        quota = w.body.get("quota")
        if isinstance(quota, dict):
            for rc in ResourceClass:
                if rc.value not in quota:
                    yield w.problem(
                        ("quota", rc.value),
                        "is required in a quota; leave the whole quota out for no limit",
                    )


def _parameters_do_what_they_say(written: Sequence[Written]) -> Iterator[Problem]:
    """In offerings that are not valid otherwise; pydantic stops before this check there."""
    for w in _of(written, "offerings"):
        parameters = w.body.get("parameters")
        if w.entry is not None or not isinstance(parameters, dict):
            continue
        for name, body in parameters.items():
            try:
                parameter = Parameter.model_validate(body)
            except ValidationError:
                continue
            for at, message, value in misnamed(str(name), parameter):
                shown = () if value is None else (value,)
                yield w.problem(("parameters", *at), message, *shown)


def _offerings_fit_their_class(written: Sequence[Written]) -> Iterator[Problem]:
    classes: dict[str, Written] = {}
    for w in _of(written, "classes"):
        classes.setdefault(w.name, w)
    for w in _of(written, "offerings"):
        name, size = w.body.get("workload_class"), w.body.get("size")
        its_class = classes.get(name) if isinstance(name, str) else None
        sizes = its_class.body.get("sizes") if its_class else None
        if not isinstance(size, str) or not isinstance(sizes, dict):
            continue
        if size not in sizes:
            known = known_names(size, map(str, sizes))
            yield w.problem(("size",), f"class '{name}' has no size of that name; {known}", size)
        else:
            yield from _defaults_are_the_size(w, size, sizes[size])


def _defaults_are_the_size(w: Written, size_name: str, size: object) -> Iterator[Problem]:
    parameters = w.body.get("parameters")
    if not isinstance(parameters, dict) or not isinstance(size, dict):
        return
    for rc in ResourceClass:
        parameter, amount = parameters.get(rc.value), size.get(rc.value)
        default = parameter.get("default") if isinstance(parameter, dict) else None
        if type(default) is int and type(amount) is int and 0 < amount != default:
            message = f"the default must be what size '{size_name}' has, {amount}"
            yield w.problem(("parameters", rc.value, "default"), message, default)
