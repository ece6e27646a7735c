"""Usage intervals: how much of what each machine had, from when to when, and who was to pay.

The history of usage is append-only and knows two times: when something was so (`t_from`, `t_to`) and
when it became known (`recorded_at`). A later fact never edits a row: it adds one that takes the wrong
quantity back (negative) and one with the right quantity. What counts at a moment is the sum.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from catalog.base import Name, Value
from chargeback.instants import EpochSeconds, utc_text
from chargeback.labels import LabelsText

QUANTITY_MAX = 2**53


class Metric(StrEnum):
    """What is metered; the name ends with the unit of its quantities. `MACHINE` counts machines."""

    VCPU = "vcpu"
    MEMORY_MIB = "memory_mib"
    DISK_GIB = "disk_gib"
    MACHINE = "machine"
    CPU_MHZ = "cpu_mhz"
    DISK_IO_KBPS = "disk_io_kbps"
    NET_IO_KBPS = "net_io_kbps"
    STORAGE_USED_GIB = "storage_used_gib"


MEASURED = frozenset({Metric.CPU_MHZ, Metric.DISK_IO_KBPS, Metric.NET_IO_KBPS, Metric.STORAGE_USED_GIB})
"""What is only ever measured; the others are known from a machine's life."""


class Power(StrEnum):
    """Whether the machine ran; a suspended one did not."""

    ON = "on"
    OFF = "off"


MachineId = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if isinstance(value, UUID) else value),
    StringConstraints(min_length=1, max_length=200),
]
"""A machine's identity: the UUID of its order as text, or a foreign machine's own identifier."""

Source = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""Where a fact comes from, for the person who asks."""


class UsageInterval(Value):
    """A constant quantity of one metric of one machine over a half-open time, with who pays for it.

    `quantity` is in the metric's unit and negative only where an earlier row is taken back;
    `sequence` numbers the rows of one machine in the order in which they were recorded.
    """

    machine: MachineId
    tenant: Name
    cost_centre: Name
    tier: Name
    pool: Name
    metric: Metric
    quantity: Annotated[int, Field(ge=-QUANTITY_MAX, le=QUANTITY_MAX, strict=True)]
    power: Power
    t_from: EpochSeconds
    t_to: EpochSeconds
    recorded_at: EpochSeconds
    source: Source
    sequence: Annotated[int, Field(ge=0, strict=True)]
    labels: LabelsText = ""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.t_from >= self.t_to:
            msg = f"t_to {utc_text(self.t_to)} must be after t_from {utc_text(self.t_from)}"
            raise ValueError(msg)
        if not self.quantity:
            msg = "quantity must not be zero; leave the row out"
            raise ValueError(msg)
        return self


SCHEMA: Any = pa.schema([
    pa.field(name, pa.int64() if info.annotation is int else pa.string(), nullable=False)
    for name, info in UsageInterval.model_fields.items()
])  # fmt: skip
"""The Arrow form of `UsageInterval`: numbers as int64, the rest as text, nothing null."""

DEFAULTS: Mapping[str, str] = {"labels": ""}
"""What a column that older tables lack is filled with."""


class InvalidUsage(ValueError):
    """A table that is no usage history; the message names the column and the first bad row."""


def to_table(intervals: Iterable[UsageInterval]) -> Any:
    """The intervals as a `pyarrow.Table` of `SCHEMA`, in their order."""
    return pa.Table.from_pylist([i.model_dump(mode="json") for i in intervals], schema=SCHEMA)


def from_table(table: Any) -> list[UsageInterval]:
    """The rows of a `pyarrow.Table` of `SCHEMA`. Raises InvalidUsage or ValidationError."""
    return [UsageInterval.model_validate(row) for row in checked_table(table).to_pylist()]


def checked_table(table: Any) -> Any:
    """`table` with the columns of `SCHEMA` in its order and types. Raises InvalidUsage.

    Looks at whole columns, so that a table of millions of rows costs milliseconds: nothing null,
    `t_from` before `t_to`, quantities within 2**53. Names are not looked at.
    """
    for name, value in DEFAULTS.items():
        if name not in table.column_names:
            table = table.append_column(name, pa.repeat(value, table.num_rows))
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        msg = f"usage has no column {', '.join(missing)}"
        raise InvalidUsage(msg)
    chosen = table.select(SCHEMA.names)
    for name in SCHEMA.names:
        if chosen[name].null_count:
            msg = f"usage: column {name} has {chosen[name].null_count} empty values; each row needs one"
            raise InvalidUsage(msg)
    try:
        chosen = chosen.cast(SCHEMA)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        msg = f"usage: a column has another type than it must: {error}"
        raise InvalidUsage(msg) from None
    if chosen.num_rows:
        _check_rows(chosen)
    return chosen


def _check_rows(table: Any) -> None:
    # By extremes of columns: a constant would be made a scalar, which imports pandas (0.9 s).
    if pc.min(pc.subtract(table["t_to"], table["t_from"])).as_py() <= 0:
        _refuse(pc.less_equal(table["t_to"], table["t_from"]), "t_to must be after t_from")
    span = pc.min_max(table["quantity"]).as_py()
    if max(-span["min"], span["max"]) > QUANTITY_MAX:
        too_much = pc.or_(
            pc.greater(table["quantity"], QUANTITY_MAX), pc.less(table["quantity"], -QUANTITY_MAX)
        )
        _refuse(too_much, "quantity exceeds 2**53")


def _refuse(mask: Any, message: str) -> None:
    row = pc.index(mask, value=True).as_py()
    msg = f"usage: row {row}: {message}"
    raise InvalidUsage(msg)
