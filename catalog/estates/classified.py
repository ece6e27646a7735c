"""What classification says of a machine: its workload class, its size, how sure that is, and why."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from catalog.base import Name, Value
from catalog.estates.model import Text
from catalog.frozen import FrozenMapping
from catalog.resources import Resources
from catalog.workload_classes import Availability, DataClassification

AS_IS = "as-is"
"""The size of a machine that keeps its own; no size of a class may be called so in a mapping."""

LABEL = "label:"
"""What a label begins with where it stands in the place of a class."""

Confidence = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
"""From 0, nothing is known, to 1, a person has said so; two decimals."""


class Facts(Value):
    """What others need to know of a machine, beside its class."""

    software: tuple[Name, ...] = Field(
        default=(), description="What runs in it and has a licence, by the names of your licence documents."
    )
    data_classification: DataClassification | None = Field(
        default=None, description="How sensitive its data is, where that differs from its class."
    )
    availability: Availability | None = Field(
        default=None,
        description="`restart` where it must come back after a host failure, whatever its class.",
    )
    tier: Name | None = Field(default=None, description="The tier that it must be on.")
    labels: FrozenMapping[str, str] = Field(
        default_factory=dict, description="Anything else, name to value: an owner, a wave, a contract."
    )


class Target(Value):
    """A workload class of the catalog, or a label for what is none of its classes."""

    workload_class: str = ""
    label: str = ""

    def __str__(self) -> str:
        return f"{LABEL}{self.label}" if self.label else self.workload_class

    def __bool__(self) -> bool:
        return bool(self.workload_class or self.label)


NOTHING = Target()


class Decision(Value):
    """What a person has said of one machine; it wins over every rule."""

    machine: Text
    target: Target
    size: str = ""
    """A size of the class, `AS_IS`, or empty: the nearest that holds the machine."""
    note: str = ""


class Classified(Value):
    """One machine, classified."""

    machine: Text
    """Its id in the estate."""
    target: Target = NOTHING
    size: str = ""
    """A size of the class, or `AS_IS`; empty where there is no class."""
    resources: Resources
    """What to plan it with: of the size what it must hold, the rest as it is today."""
    confidence: Confidence
    needs_eye: bool
    """Whether a person should look: the confidence is below the threshold of the rules."""
    reason: Text
    rules: tuple[str, ...] = ()
    """The rules that say so, and those that add facts."""
    facts: Facts = Facts()
    suggested: str = ""
    """``class/size`` as the rules alone have it, also where a person has decided; empty: nothing."""
    by_hand: bool = False
    note: str = ""
    """The person's, where one has decided."""

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if self.size and not self.target.workload_class:
            msg = f"size '{self.size}' must be of a workload class; there is none"
            raise ValueError(msg)
        return self

    @property
    def workload_class(self) -> str:
        """The class; empty where there is none."""
        return self.target.workload_class

    @property
    def is_known(self) -> bool:
        """Whether it has a class or a label, and nobody needs to look."""
        return bool(self.target) and not self.needs_eye


def written(target: Target, size: str) -> str:
    """``class/size``, ``label:text``, or nothing, as mappings and reasons have it."""
    return f"{target}/{size}" if size else str(target)
