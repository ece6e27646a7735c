"""New machines of a class come each month."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from catalog.wording import counted, known_names
from tierwise.planner.change import Change
from tierwise.planner.selecting import Known, Mistake, Text, unknown
from tierwise.planner.world import Stream, World

Month = Annotated[int, Field(strict=True, ge=1, le=120)]


class Demand(Change):
    """So many machines of a class each month; room is kept for all, and each costs from its month on."""

    model_config = ConfigDict(populate_by_name=True)

    summary: ClassVar[str] = (
        "so many new machines of a class each month; room for all of them, cost from their month on"
    )
    example: ClassVar[str] = "{kind: demand, class: web, size: small, per_month: 5}"
    kind: Literal["demand"]
    workload_class: Text = Field(alias="class")
    size: Text
    per_month: Annotated[int, Field(strict=True, ge=1, le=100_000)]
    first_month: Month = Field(default=1, description="1 is the first month of the horizon.")
    last_month: Month | None = Field(
        default=None, description="The last one; the horizon's where not given."
    )
    software: tuple[Text, ...] = Field(default=(), description="What is on them, as licences know it.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last_month is not None and self.last_month < self.first_month:
            msg = f"last_month {self.last_month} is before first_month {self.first_month}"
            raise ValueError(msg)
        return self

    def __str__(self) -> str:
        until = "" if self.last_month is None else f" to {self.last_month}"
        return f"{self.per_month} {self._what} a month from month {self.first_month}{until}"

    @property
    def _what(self) -> str:
        software = f" with {', '.join(sorted(self.software))}" if self.software else ""
        return f"{self.workload_class} {self.size}{software}"

    def mistakes(self, known: Known) -> Iterator[Mistake]:
        """Unknown class, size or software."""
        sizes = known.sizes.get(self.workload_class)
        if sizes is None:
            yield (
                ("class",),
                f"there is no class '{self.workload_class}'; {known_names(self.workload_class, known.sizes)}",
            )
        elif self.size not in sizes:
            yield (
                ("size",),
                f"'{self.workload_class}' has no size '{self.size}'; {known_names(self.size, sizes)}",
            )
        yield from unknown(("software",), self.software or None, known.software)
        if self.first_month > known.months:
            yield (
                ("first_month",),
                f"the horizon ends after {counted(known.months, 'month')}; say less, or make it longer",
            )

    def touches(self, known: Known) -> frozenset[str]:
        """Each month's demand of the class, size and software."""
        months = range(self.first_month, (self.last_month or known.months) + 1)
        return frozenset(f"the demand of {self._what} in month {month}" for month in months)

    def apply(self, world: World) -> World:
        """The world with the machines to come."""
        since = f" from month {self.first_month}" if self.first_month > 1 else ""
        stream = Stream(
            f"{self._what} to come{since}", self.workload_class, self.size, self.per_month,
            self.first_month, self.last_month, self.software,
        )  # fmt: skip
        return replace(world, streams=(*world.streams, stream))
