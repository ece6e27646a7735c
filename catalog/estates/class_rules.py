"""Rules that say what kind of machine a machine is, as documents have them.

``docs/reference/classification.md`` says how rules are weighed against each other.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Self, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    field_validator,
    model_validator,
)

from catalog.base import Name, Value
from catalog.estates.classified import Facts, Target
from catalog.estates.model import PowerState
from catalog.estates.patterns import complaint
from catalog.frozen import FrozenMapping
from catalog.refusals import refuse, refuse_all
from catalog.resources import ResourceClass

T = TypeVar("T")

NEAREST = "nearest"
"""The size of a rule that takes the nearest size of its class that holds the machine."""

Share = Annotated[Decimal, Field(ge=0, le=1, allow_inf_nan=False, max_digits=6)]


def _checked(pattern: str) -> str:
    what = complaint(pattern)
    if what:
        refuse(what)
    return pattern


def _listed(value: object) -> object:
    """One pattern stands for a list of it."""
    return (value,) if isinstance(value, str) else value


def _some(values: tuple[T, ...]) -> tuple[T, ...]:
    """Not a minimum of pydantic's, which would count a value that is wrong as one that is missing."""
    if not values:
        refuse("is an empty list, which no machine meets; remove this field")
    return values


Pattern = Annotated[str, Field(max_length=1000), AfterValidator(_checked)]
Patterns = Annotated[tuple[Pattern, ...], AfterValidator(_some), BeforeValidator(_listed)]
"""Any of these: a glob of the whole text, or a regular expression after ``re:``."""

TEXT_FIELDS = ("guest_os", "name", "folder", "application", "pool", "host", "site", "tenant", "firmware")
"""What patterns look at, one text a machine; `networks` and `labels` beside them."""

SIZE_FIELDS = ("vcpus", "memory_mib", "disk_gib")


class Range(Value):
    """From and to, both included."""

    at_least: Annotated[StrictInt, Field(ge=0)] | None = None
    at_most: Annotated[StrictInt, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _holds_something(self) -> Self:
        if self.at_least is None and self.at_most is None:
            refuse("a range needs at_least, at_most or both")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            refuse(f"at_least {self.at_least} is above at_most {self.at_most}; no machine is so large")
        return self


class Match(Value):
    """Conditions on a machine, all of which must hold; one that is left out always does."""

    guest_os: Patterns | None = Field(
        default=None, description="The guest system, as the source writes it."
    )
    name: Patterns | None = Field(default=None, description="The machine's name.")
    folder: Patterns | None = Field(
        default=None, description="Its folder, with the path where the source has one."
    )
    application: Patterns | None = Field(default=None, description="What it belongs to: a vApp, a tag.")
    pool: Patterns | None = Field(
        default=None, description="Its cluster, or its host where that stands alone."
    )
    host: Patterns | None = Field(default=None, description="The host that it runs on.")
    site: Patterns | None = Field(default=None, description="Its datacenter.")
    tenant: Patterns | None = Field(default=None, description="Who owns it.")
    firmware: Patterns | None = Field(default=None, description="`bios` or `efi`.")
    networks: Patterns | None = Field(default=None, description="Any of its networks.")
    labels: FrozenMapping[str, Patterns] = Field(
        default_factory=dict,
        description="Custom attributes and tags: the name, in any capitals, to patterns.",
    )
    power: Annotated[tuple[PowerState, ...], AfterValidator(_some), BeforeValidator(_listed)] | None = (
        Field(default=None, description="Any of `on`, `off`, `suspended`, `unknown`.")
    )
    vcpus: Range | None = Field(default=None, description="How many: `{at_least: 2, at_most: 8}`.")
    memory_mib: Range | None = Field(default=None, description="Its memory, in MiB.")
    disk_gib: Range | None = Field(default=None, description="Its provisioned disk, in GiB, rounded up.")

    @property
    def is_empty(self) -> bool:
        """Whether it asks for nothing."""
        return self == Match()


class ClassRule(Value):
    """One rule: which machines it is for, what they are, how sure that is, and facts about them."""

    name: Name
    when: Match = Field(default=Match(), description="Conditions; all must hold.")
    unless: Match | None = Field(default=None, description="Machines that meet all of these are left out.")
    workload_class: Name | None = Field(default=None, description="A class of the catalog.")
    label: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="For what is no class of the catalog: `appliance`, `to be retired`."
    )
    size: Name = Field(
        default=NEAREST,
        description="`nearest`: the nearest size that holds the machine; `as-is`: its own; or a size of the class.",
    )
    confidence: Annotated[Share, Field(gt=0)] | None = Field(
        default=None, description="How often it is right, above 0 and up to 1; left out: 0.9."
    )
    otherwise: StrictBool = Field(
        default=False,
        description="true: only for machines that no rule without this has a class or label for.",
    )
    facts: Facts = Field(default=Facts(), description="What else is known of these machines.")

    @property
    def target(self) -> Target:
        """What its machines are; nothing for a rule that only adds facts."""
        return Target(workload_class=self.workload_class or "", label=self.label or "")

    @property
    def belief(self) -> Decimal:
        """How sure it is."""
        return USUAL_CONFIDENCE if self.confidence is None else self.confidence

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        refuse_all("rule", self._mistakes())
        return self

    def _mistakes(self) -> Iterator[tuple[tuple[str | int, ...], str, object]]:
        if self.workload_class and self.label:
            yield ("label",), "a rule gives a class or a label, not both; remove one", self.label
        if not self.target:
            yield from self._mistakes_without_target()
        if self.label and self.size != NEAREST:
            yield ("size",), "a label has no sizes; remove this field", self.size
        if self.when.is_empty and not self.otherwise:
            said = "needs a condition; for all machines that no other rule is for write otherwise: true"
            yield ("when",), said, None
        if self.unless is not None and self.unless.is_empty:
            yield (
                ("unless",),
                "has no condition, so the rule would be for no machine; remove this field",
                None,
            )

    def _mistakes_without_target(self) -> Iterator[tuple[tuple[str | int, ...], str, object]]:
        if self.facts == Facts():
            yield ("workload_class",), "a rule needs workload_class, label or facts; give one of them", None
        if self.otherwise:
            yield ("otherwise",), "needs workload_class or label beside it; give one of them", None
        if self.confidence is not None:
            yield (
                ("confidence",),
                "is of a class or a label; a rule of facts alone has none",
                str(self.confidence),
            )
        if self.size != NEAREST:
            yield ("size",), "needs workload_class beside it; give it, or remove this field", self.size


USUAL_CONFIDENCE = Decimal("0.9")


class Weighing(Value):
    """How confidence comes about, and when a person should look."""

    needs_eye_below: Share = Field(
        default=Decimal("0.6"), description="Machines with a confidence below this need a person's eye."
    )
    size_weight: Share = Field(
        default=Decimal("0.2"),
        description="How much of the confidence hangs on the size: 0: nothing; 1: all of it.",
    )
    hold: Annotated[tuple[ResourceClass, ...], Field(min_length=1)] = Field(
        default=(ResourceClass.VCPU, ResourceClass.MEMORY_MIB),
        description="What a size must hold of the machine and gives it; the rest stays as it is.",
    )

    @field_validator("hold", mode="after")
    @classmethod
    def _each_once(cls, hold: tuple[ResourceClass, ...]) -> tuple[ResourceClass, ...]:
        twice = (((i,), "stands twice in this list", one) for i, one in enumerate(hold) if one in hold[:i])
        refuse_all("hold", twice)
        return hold


class ClassRules(Value):
    """The rules in their order, and how they are weighed."""

    rules: tuple[ClassRule, ...] = ()
    weighing: Weighing = Weighing()
