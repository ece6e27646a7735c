"""Which of several machines of one identity is the one, when xapi itself enforces no identity.

Two workers that looked at the same moment may both have made a machine. Each looks again after its create
returned. Whoever looks sees every machine that was made before, so of two makers the later one sees both.
The one who looks voids all but the machine with the lowest uuid, and then chooses that one. Both are
VM.add_to_other_config of the same key, which xapi refuses the second time: a machine is chosen or voided
once, for good. Whoever finds that another was quicker looks again. So at most one machine is ever chosen,
whatever the order of events, nobody waits for anybody, and a worker that dies leaves nothing undecided.
Whoever was not beaten reads only the machines that it knows again: the maker of one that came later sees
the chosen one and voids its own. Only chosen machines get a disk.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from connectors.drivers.xen import tasks
from connectors.drivers.xen.estate import Machine, find_all, read_machine
from connectors.drivers.xen.faults import code_of
from connectors.drivers.xen.marks import STATE, VOID, chosen, is_chosen
from connectors.drivers.xen.session import Op
from connectors.errors import Unreachable

ROUNDS = 20


def elect(op: Op, identity: UUID, candidates: Sequence[Machine]) -> Machine:
    """The one machine of the identity; voided ones are removed. Raises Unreachable where all are gone."""
    for _ in range(ROUNDS):
        winner = next((machine for machine in candidates if is_chosen(machine.record)), None)
        if winner is not None:
            return _alone(op, winner, candidates)
        free = sorted((m for m in candidates if _state(m) == ""), key=lambda m: str(m.record["uuid"]))
        if not free:
            break
        first, *others = free
        won = all(_mark(op, machine, VOID) for machine in others) and _mark(op, first, chosen(first.record))
        candidates = (_known(op, candidates) if won else []) or find_all(op, identity)
    why = f"the new machine {identity} is not there right after it was made"
    raise op.error(Unreachable, why, hint="somebody removed it; repeat the call")


def _known(op: Op, candidates: Sequence[Machine]) -> list[Machine]:
    """Those of the machines that are still there, as they are now."""
    found = [(machine.ref, read_machine(op, machine.ref)) for machine in candidates]
    return [Machine(ref, record) for ref, record in found if record is not None]


def _state(machine: Machine) -> str:
    return str(machine.record["other_config"].get(STATE, ""))


def _mark(op: Op, machine: Machine, state: str) -> bool:
    """Write the machine's state; False where it has another. A machine that is gone is as good as voided."""
    try:
        op.call("VM.add_to_other_config", machine.ref, STATE, state)
    except op.session.failure as failure:
        if code_of(failure) == "HANDLE_INVALID":
            return state == VOID
        if code_of(failure) != "MAP_DUPLICATE_KEY":
            raise
        return _read(op, machine) == state
    return True


def _read(op: Op, machine: Machine) -> str:
    try:
        return str(op.call("VM.get_other_config", machine.ref).get(STATE, ""))
    except op.session.failure as failure:
        if code_of(failure) != "HANDLE_INVALID":
            raise
        return VOID


def _alone(op: Op, winner: Machine, candidates: Sequence[Machine]) -> Machine:
    """Remove the others. One that came after the choice is voided first, so that it can never be chosen."""
    for other in candidates:
        if other.ref != winner.ref and (_state(other) == VOID or _mark(op, other, VOID)):
            remove_record(op, other.ref)
    return winner


def remove_record(op: Op, ref: str) -> None:
    """Remove a machine that is off, without its disks; nothing if it is gone, or another worker removes it."""
    while True:
        try:
            op.call("VM.destroy", ref)
        except op.session.failure as failure:
            if code_of(failure) == "HANDLE_INVALID":
                return
            if code_of(failure) != "OTHER_OPERATION_IN_PROGRESS":
                raise
        else:
            return
        with suppress_gone(op):
            tasks.await_idle(op, ref)


@contextmanager
def suppress_gone(op: Op) -> Iterator[None]:
    """Let an object be gone."""
    try:
        yield
    except op.session.failure as failure:
        if not op.gone(failure):
            raise
