"""An error of a connector tells what, where, why and what to do."""

import copy
import pickle

import pytest

from catalog.capabilities import Capability, Gap, GapReason
from connectors.errors import (
    Conflict,
    ConnectorError,
    DeadlineExceeded,
    NotFound,
    Refused,
    Unreachable,
    Unsupported,
)

GAP = Gap(reason=GapReason.NEVER, detail="containers have no snapshots")
ERRORS = [
    *(
        kind("fra-1", "create_vm", "no space", vendor_code="E7", hint="free some")
        for kind in (NotFound, Conflict, Refused, Unreachable, DeadlineExceeded)
    ),
    Unsupported("fra-1", Capability.SNAPSHOT, GAP),
]


def test_a_message_has_operation_endpoint_reason_code_and_hint() -> None:
    assert str(ERRORS[2]) == "create_vm at endpoint 'fra-1': no space [E7]; free some"


def test_a_message_without_code_and_hint_ends_with_the_reason() -> None:
    assert (
        str(NotFound("fra-1", "get_vm", "no such machine")) == "get_vm at endpoint 'fra-1': no such machine"
    )


def test_what_an_endpoint_says_stays_on_a_line_steers_no_terminal_and_ends() -> None:
    said = f"the server answered: \x1b[2J\r\nHTTP\x9b31m {'x' * 70_000}"
    shown = str(Unreachable("fra-1", "open", said, vendor_code="E\x07"))
    assert shown.startswith("open at endpoint 'fra-1': the server answered: [2J HTTP 31m xxx")
    assert shown.isprintable()
    assert len(shown) < 1100


def test_an_unsupported_operation_says_the_gap() -> None:
    error = Unsupported("fra-1", Capability.SNAPSHOT, GAP)
    assert str(error) == "snapshot at endpoint 'fra-1': containers have no snapshots (never)"
    assert (error.capability, error.gap) == (Capability.SNAPSHOT, GAP)


def test_only_a_lost_or_late_answer_is_worth_repeating() -> None:
    assert {type(error) for error in ERRORS if error.retriable} == {Unreachable, DeadlineExceeded}


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize(
    "through", [copy.copy, lambda e: pickle.loads(pickle.dumps(e))], ids=["copy", "pickle"]
)
def test_an_error_survives_copying_and_pickling(error: ConnectorError, through: object) -> None:
    assert callable(through)
    again = through(error)
    assert type(again) is type(error)
    assert (str(again), vars(again)) == (str(error), vars(error))
