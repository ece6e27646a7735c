"""The open end of metering: what each machine has since its last fact, so that time passing is cheap.

    appended, notes = extended(notes, until, source="orders")

Ten thousand machines about which nothing new is known go on in one step over columns; only those with
new facts are replayed (`chargeback.metering`). The notes are made from facts and rows, and can be
made again from them at any time.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from chargeback.events import MachineEvent
from chargeback.metering import Key, standing
from chargeback.usage import SCHEMA

NOTES: Any = pa.schema([
    *(pa.field(name, pa.string(), nullable=False) for name in Key._fields),
    *(
        pa.field(name, pa.int64(), nullable=False)
        for name in ("quantity", "until", "sequence", "step", "facts", "newest")
    ),
])  # fmt: skip
"""Per machine and metric: what it has, until when that is stored, the number of its next row, how many rows
one step appends for the machine, and how many facts were taken in, with the number of the newest.
A machine that is gone has one row of quantity 0."""


def seen(notes: Any) -> dict[str, tuple[int, int]]:
    """Per machine of the notes, how many facts were taken in, and the number of the newest.

    A fact that was written late but has a small number changes the first, so it is noticed too.
    """
    machines, facts, newest = (notes[name].to_pylist() for name in ("machine", "facts", "newest"))
    return dict(zip(machines, zip(facts, newest, strict=True), strict=True))


def noted(
    lives: Mapping[str, Sequence[MachineEvent]], until: int, next_sequences: Mapping[str, int]
) -> Any:
    """Notes of machines whose facts are stored until `until`; those with facts yet to come are left out."""
    rows: list[dict[str, Any]] = []
    for machine, facts in lives.items():
        has = standing(facts, until)
        if has is None:
            continue
        taken = {
            "until": until, "step": len(has), "facts": len(facts),
            "newest": max(fact.sequence for fact in facts),
        }  # fmt: skip
        first = next_sequences.get(machine, 0)
        keys: Iterable[tuple[Mapping[str, str], int]] = (
            [(key._asdict(), quantity) for key, quantity in has]
            if has
            else [(dict.fromkeys(Key._fields, "") | {"machine": machine}, 0)]
        )
        for i, (key, quantity) in enumerate(keys):
            rows.append({**key, "quantity": quantity, "sequence": first + i, **taken})
    return pa.Table.from_pylist(rows, schema=NOTES)


def without(notes: Any, machines: Iterable[str]) -> Any:
    """The notes of all other machines."""
    return notes.filter(pc.invert(pc.is_in(notes["machine"], pa.array(list(machines), pa.string()))))


def extended(notes: Any, until: int, *, source: str) -> tuple[Any, Any]:
    """The rows of `chargeback.usage.SCHEMA` for the time that has passed until `until`, and the notes after it.

    They are the rows that `reconcile` gives for machines without new facts, recorded at `until`.
    """
    lasting = notes.filter(pc.and_(pc.greater(notes["quantity"], 0), pc.less(notes["until"], until)))
    count = lasting.num_rows
    passed = {
        "t_from": lasting["until"],
        "t_to": _repeated(until, count),
        "recorded_at": _repeated(until, count),
        "source": pa.repeat(source, count),
    }
    rows = pa.table(
        [passed[name] if name in passed else lasting[name] for name in SCHEMA.names], schema=SCHEMA
    )
    moved = pc.less(notes["until"], until)
    step = pc.if_else(moved, notes["step"], _repeated(0, notes.num_rows))
    changed = {
        "sequence": pc.add(notes["sequence"], step),
        "until": pc.if_else(moved, _repeated(until, notes.num_rows), notes["until"]),
    }
    after = pa.table(
        [changed[name] if name in changed else notes[name] for name in NOTES.names], schema=NOTES
    )
    return rows, after


def _repeated(value: int, count: int) -> Any:
    return pa.repeat(pa.scalar(value, pa.int64()), count)
