"""Rate cards as documents have them, and the JSON Schema of that form."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic.json_schema import models_json_schema

from catalog.base import Name, Value
from catalog.discovery import declared
from catalog.frozen import FrozenMapping
from catalog.json_schema import DRAFT, tidied
from chargeback.focus.vocabulary import known_currency
from chargeback.money import Rounding
from chargeback.periods import TimeZone
from chargeback.rates import Basis, Category, Conventions, Currency, Frequency, PowerRule, Proration, Window
from chargeback.shape import JSON_NUMBER, SHAPE_MARK, InnerShape, price_nanos
from chargeback.shapes import kinds
from chargeback.usage import Metric

_Moment = Annotated[
    str,
    WithJsonSchema({
        "type": "string",
        "description": "A date (its first second in the card's zone) or a date-time; without an offset local time.",
    }),
]  # fmt: skip


class RateEntry(Value):
    """A rate: what a metric costs in a tier, from when to when. It has either a price or a shape."""

    id: Name = Field(
        description="Its name on every line that it prices; never used again for another price."
    )
    tier: Name = Field(description="A tier of the catalog.")
    metric: Metric
    unit: str = Field(
        description="What the price is for, such as GiB-hour, GiB-month, or machine for what is paid once."
    )
    price: Annotated[
        int | None,
        BeforeValidator(lambda value: None if value is None else price_nanos(value)),
        WithJsonSchema({**JSON_NUMBER, "description": "Of each unit; at most 9 decimals, 0 to 1000000."}),
    ] = None
    shape: InnerShape | None = Field(default=None, description="How the price follows from the quantity.")
    window: Window | None = Field(default=None, description="Over what a shape's quantity is added up.")
    basis: Basis = Field(default=Basis.ALLOCATION, description="Which quantity of the metric is charged.")
    power: PowerRule = Field(
        default=PowerRule.ALWAYS, description="Whether a machine that is off is charged too."
    )
    component: str = Field(default="", description="The name of an additional charge, such as a licence.")
    where: FrozenMapping[str, str] = Field(
        default_factory=dict, validate_default=True, description="Labels that a machine must have."
    )
    frequency: Frequency = Field(default=Frequency.USAGE_BASED, description="How often it charges.")
    proration: Proration = Field(
        default=Proration.SECOND,
        description="What a recurring fee charges for a time that began or ended on the way.",
    )
    category: Category = Field(default=Category.USAGE, description="FOCUS ChargeCategory of its lines.")
    currency: Currency | None = Field(default=None, description="For a check only: it must be the card's.")
    valid_from: _Moment
    valid_to: _Moment | None = None
    recorded_at: _Moment | None = Field(
        default=None, description="When it became known, if not with the card."
    )
    replaces: tuple[Name, ...] = Field(
        default=(), description="Earlier recorded rates whose place it takes."
    )


class CardEntry(Value):
    """A rate card: the rates of all tiers in one currency, and how they become a bill."""

    name: Name
    version: Annotated[int, Field(ge=1, strict=True)]
    currency: Annotated[Currency, AfterValidator(known_currency)] = Field(description="An ISO 4217 code.")
    minor_digits: Annotated[
        int, Field(ge=0, le=4, strict=True, description="How many decimals amounts have.")
    ]
    time_zone: TimeZone = Field(description="An IANA name; months and local times are this zone's.")
    rounding: Rounding = Field(default=Rounding.HALF_UP, description="What becomes of an exact half.")
    conventions: Conventions = Field(
        default=Conventions(), description="Answers to what products do differently."
    )
    recorded_at: _Moment = Field(description="When its rates became known, unless a rate has its own.")


def schema() -> dict[str, Any]:
    """The JSON Schema of documents with rate cards; what only the whole card shows is not in it."""
    models: list[Any] = [(model, "validation") for model in (CardEntry, RateEntry, *kinds().values())]
    _, made = models_json_schema(models, ref_template="#/$defs/{model}")
    definitions: dict[str, Any] = tidied(made["$defs"], other=_shape)
    card = definitions["CardEntry"]
    card["properties"].pop("name")
    card["properties"]["rates"] = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/RateEntry"}}
    card["required"] = [*(name for name in card["required"] if name != "name"), "rates"]
    definitions["RateEntry"]["oneOf"] = [{"required": ["price"]}, {"required": ["shape"]}]
    definitions["Shape"] = {
        "description": "One of the kinds of shapes.",
        "oneOf": [{"$ref": f"#/$defs/{shape.__name__}"} for shape in kinds().values()],
    }
    for shape in kinds().values():
        definition = definitions[shape.__name__]
        definition["properties"]["kind"] = {"enum": list(declared(shape))}
        definition["required"] = sorted({*definition.get("required", ()), "kind"})
    return {
        "$schema": DRAFT,
        "title": "tierwise rate cards",
        "type": "object",
        "properties": {
            "rate_cards": {
                "type": ["object", "null"],
                "additionalProperties": {"$ref": "#/$defs/CardEntry"},
            }
        },
        "$defs": definitions,
    }


def _shape(part: dict[str, Any]) -> dict[str, Any] | None:
    """The reference that stands where a shape is held."""
    held = all(part.get(key) == value for key, value in SHAPE_MARK.items())
    return {"$ref": "#/$defs/Shape"} if held else None
