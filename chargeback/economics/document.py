"""Economics documents -> `Economics`, or every mistake in them with its line; the reference is docs/reference/economics.md."""

from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field
from pydantic.json_schema import models_json_schema

from catalog.base import Value
from catalog.documents import DocumentError, Located, Problem, checked, entries, parse, unknown_sections
from catalog.json_schema import DRAFT, tidied
from catalog.wording import known_names
from chargeback.economics.figures import Figure, Percent, Text
from chargeback.economics.licences import Licence
from chargeback.economics.matching import HostMatch, PoolMatch
from chargeback.economics.sections import (
    Facilities,
    Fleet,
    HostType,
    Labour,
    Migration,
    Network,
    Opening,
    Other,
    Site,
    Storage,
    Tier,
)
from chargeback.rates import Currency
from chargeback.shape import JSON_NUMBER

FORMAT = "tierwise-economics/1"

V = TypeVar("V", bound=Value)

_LISTS: dict[str, type[Value]] = {
    "host_types": HostType,
    "sites": Site,
    "storage": Storage,
    "other": Other,
    "opening": Opening,
    "migration": Migration,
    "licences": Licence,
    "tiers": Tier,
    "fleet": Fleet,
}
_SINGLES: dict[str, type[Value]] = {"labour": Labour, "network": Network, "facilities": Facilities}


class Header(Value):
    """What stands at the top of a document."""

    format: Literal["tierwise-economics/1"]
    title: Text = "economics"
    currency: Currency
    minor_digits: Annotated[int, Field(strict=True, ge=0, le=4)] = Field(
        default=2, description="How many decimals amounts have that are paid."
    )
    discount_percent_per_year: Percent | None = Field(
        default=None, description="What money costs (WACC), for present values."
    )


class Economics(Header):
    """A checked document."""

    host_types: tuple[HostType, ...] = ()
    sites: tuple[Site, ...] = ()
    labour: Labour = Labour()
    storage: tuple[Storage, ...] = ()
    network: Network = Network()
    facilities: Facilities = Facilities()
    other: tuple[Other, ...] = ()
    opening: tuple[Opening, ...] = ()
    migration: tuple[Migration, ...] = ()
    licences: tuple[Licence, ...] = ()
    tiers: tuple[Tier, ...] = ()
    fleet: tuple[Fleet, ...] = ()

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Every figure with its path, in the document's order."""
        if self.discount_percent_per_year is not None:
            yield "discount_percent_per_year", self.discount_percent_per_year
        for section in ("host_types", "sites", "labour", "storage", "network", "facilities", "other", "opening", "migration", "tiers"):  # fmt: skip
            content = getattr(self, section)
            for entry in content if isinstance(content, tuple) else (content,):
                at = f"{section}.{entry.name}" if isinstance(content, tuple) else section
                yield from _figures_of(entry, at)
        for licence in self.licences:
            for path, figure in licence.figures():
                yield f"licences.{licence.name}.{path}", figure

    def assumed(self, day: date | None = None) -> tuple[str, ...]:
        """The paths of figures that are assumptions on a day, or have neither source nor evidence."""
        found = []
        for path, figure in self.figures():
            one = figure.at(day, None)
            if (one[1] if one else figure).assumed:
                found.append(path)
        return tuple(found)


def _figures_of(entry: Value, at: str) -> Iterator[tuple[str, Figure]]:
    for field in type(entry).model_fields:
        value = getattr(entry, field)
        if isinstance(value, Figure):
            yield f"{at}.{field}", value
        elif isinstance(value, dict):
            yield from (
                (f"{at}.{field}.{key}", one) for key, one in value.items() if isinstance(one, Figure)
            )


def load_economics(text: str, file: str) -> Economics:
    """The economics of one document. Raises DocumentError with every problem of it."""
    document, problems = parse(text, file)
    if document is None:
        raise DocumentError(problems)
    said = {problem.path for problem in problems}
    more: list[Problem] = []
    found = _read(document, more)
    problems += [problem for problem in more if problem.path not in said]
    if problems or found is None:
        raise DocumentError(problems)
    return found


def _read(document: Located, problems: list[Problem]) -> Economics | None:
    tree = document.tree
    problems += unknown_sections(document, [*Header.model_fields, *_SINGLES, *_LISTS])
    header = {key: tree[key] for key in Header.model_fields if key in tree}
    top = checked(document, (), Header, header, problems)
    content: dict[str, Any] = {}
    for section, model in _SINGLES.items():
        body = tree.get(section)
        if body is not None:
            content[section] = checked(document, (section,), model, body, problems)
    for section, model in _LISTS.items():
        content[section] = tuple(entry for entry, _ in entries(document, section, model, problems).values())
    problems += list(_between(document, content))
    if problems or top is None:
        return None
    return Economics.model_validate({
        **{key: getattr(top, key) for key in Header.model_fields},
        **{key: value for key, value in content.items() if value is not None},
    })  # fmt: skip


def _between(document: Located, content: dict[str, Any]) -> Iterator[Problem]:
    """What is wrong between entries that are right by themselves."""
    yield from _never_reached(document, content)
    yield from _bought_before_prices(document, content)
    tiers = [tier.name for tier in content["tiers"]]
    for fleet in content["fleet"]:
        if fleet.tier not in tiers:
            message = f"there is no tier '{fleet.tier}' under tiers; {known_names(fleet.tier, tiers)}"
            yield document.problem(("fleet", fleet.name, "tier"), message)
    labour = content.get("labour") or Labour()
    needs = [("host_types", "labour_hours_per_month"), ("migration", "hours_per_machine")]
    for section, field in needs:
        for entry in content[section]:
            if getattr(entry, field) is not None and labour.cost_per_hour is None:
                message = "hours are given, but labour.cost_per_hour is missing; add it"
                yield document.problem((section, entry.name, field), message)


def _never_reached(document: Located, content: dict[str, Any]) -> Iterator[Problem]:
    """Entries that come after one that fits everything, where the first that fits is taken."""
    for section in ("host_types", "storage"):
        earlier: Value | None = None
        for entry in content[section]:
            if earlier is not None:
                message = f"is never used: '{earlier.name}' before it fits everything; put it further up"  # type: ignore[attr-defined] # both sections' entries have names
                yield document.problem((section, entry.name), message)
            elif entry.match in {HostMatch(), PoolMatch()}:
                earlier = entry
    if [site.name for site in content["sites"]].count("*") and content["sites"][-1].name != "*":
        yield document.problem(
            ("sites", "*"), "fits every site; put it last, or the sites after it are never used"
        )


def _bought_before_prices(document: Located, content: dict[str, Any]) -> Iterator[Problem]:
    """Things that were bought on a day of which their price says nothing."""
    for section in ("host_types", "opening"):
        for entry in content[section]:
            fields = entry.purchases if isinstance(entry, HostType) else ("purchase_price",)
            for field in (*fields, "depreciation_months"):
                figure = getattr(entry, field)
                if entry.bought_on is None or figure is None:
                    continue
                regions = {one.region for _, one in figure.statements()}
                if all(figure.at(entry.bought_on, region) is None for region in regions):
                    message = f"says nothing of {entry.bought_on}, when it was bought; add a value of then"
                    yield document.problem((section, entry.name, field), message)


def schema() -> dict[str, Any]:
    """The JSON Schema of economics documents; what only the whole document shows is not in it."""
    models: list[Any] = [(model, "validation") for model in (Header, *_SINGLES.values(), *_LISTS.values())]
    _, made = models_json_schema(models, by_alias=True, ref_template="#/$defs/{model}")
    definitions: dict[str, Any] = tidied(made["$defs"])
    for model in _LISTS.values():
        entry = definitions[model.__name__]
        entry["properties"].pop("name", None)
        entry["required"] = [name for name in entry.get("required", ()) if name != "name"]
    definitions["Figure"] = {"anyOf": [dict(JSON_NUMBER), definitions.pop("Figure")]}
    header = definitions.pop("Header")
    lists = {
        section: {"type": ["object", "null"], "additionalProperties": {"$ref": f"#/$defs/{model.__name__}"}}
        for section, model in _LISTS.items()
    }
    singles = {section: {"$ref": f"#/$defs/{model.__name__}"} for section, model in _SINGLES.items()}
    return {
        "$schema": DRAFT,
        "title": "tierwise economics",
        "type": "object",
        "properties": {**header["properties"], **singles, **lists},
        "required": header["required"],
        "additionalProperties": False,
        "$defs": definitions,
    }
