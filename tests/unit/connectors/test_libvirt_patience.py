"""How long the libvirt driver waits for a call that has no deadline of its own."""

import threading
from collections.abc import Callable, Iterator

import pytest

from connectors.drivers.libvirt.session import _bounded, _Patience

LIMIT_S = 0.2
MANY = 40
"""Looks at a call's progress that take several times the limit."""


@pytest.fixture
def stuck() -> Iterator[Callable[[], bool]]:
    """A call that does not come back before the test is over."""
    over = threading.Event()
    yield over.wait
    over.set()


def test_a_call_that_goes_on_is_waited_for_beyond_the_limit_and_given_up_when_it_stands_still(
    stuck: Callable[[], bool],
) -> None:
    looks: list[int] = []

    def progress() -> int:
        looks.append(1)
        return min(len(looks), MANY)

    with pytest.raises(TimeoutError):
        _bounded(stuck, _Patience(LIMIT_S, progress), late=lambda _: None)
    assert len(looks) > MANY


def test_a_call_whose_progress_nobody_can_tell_has_the_limit(stuck: Callable[[], bool]) -> None:
    asked: list[int] = []

    def progress() -> bool:
        asked.append(1)
        return stuck()

    with pytest.raises(TimeoutError):
        _bounded(stuck, _Patience(LIMIT_S, progress), late=lambda _: None)
    assert len(asked) == 1


def test_a_look_that_fails_is_no_progress_and_no_error(stuck: Callable[[], bool]) -> None:
    def progress() -> int:
        raise OSError

    with pytest.raises(TimeoutError):
        _bounded(stuck, _Patience(LIMIT_S, progress), late=lambda _: None)


def test_what_comes_too_late_is_dealt_with_then() -> None:
    over, dealt_with = threading.Event(), threading.Event()
    late: list[object] = []

    def take(result: object) -> None:
        late.append(result)
        dealt_with.set()

    with pytest.raises(TimeoutError):
        _bounded(lambda: over.wait() and "result", _Patience(LIMIT_S), late=take)
    over.set()
    assert dealt_with.wait(10)
    assert late == ["result"]


def test_a_call_that_ends_in_time_gives_its_result_or_its_error() -> None:
    assert _bounded(lambda: 7, _Patience(10), late=lambda _: None) == 7
    with pytest.raises(KeyError):
        _bounded(lambda: {}["missing"], _Patience(10), late=lambda _: None)
