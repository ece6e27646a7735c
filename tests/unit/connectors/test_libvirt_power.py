"""What the driver makes of a daemon that does not know the init of a container which it has started."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import pytest

from connectors.contract import PowerAction, PowerState
from connectors.drivers.libvirt.power import Power
from connectors.errors import DeadlineExceeded

libvirt = pytest.importorskip("libvirt")

RUNNING, SHUT_OFF = 1, 5
TOO_NEW = "Requested operation is not valid: Init process ID is not yet known"
NO_INIT = "Requested operation is not valid: Init pid is not yet available"
RUNS = "Requested operation is not valid: domain is already running"
REFUSED = "Requested operation is not valid: domain is not running"


def error(message: str) -> Exception:
    found = libvirt.libvirtError(message)
    found.err = (
        55,
        24,
        message,
        2,
        message,
        None,
        None,
        -1,
        -1,
    )  # VIR_ERR_OPERATION_INVALID of the LXC driver
    return found


class Container:
    """As much of a domain as a shutdown asks; `answer` tells what the n-th request for it meets."""

    def __init__(self, answer: Callable[[int], str]) -> None:
        self.answer = answer
        self.asked = 0
        self.down = False
        self.starts = 0
        self.ends = 0
        self.unknown_until_start = 0
        self.one_at_a_time = Lock()

    def name(self) -> str:
        return "box"

    def isActive(self) -> int:  # noqa: N802 - libvirt's name
        return int(not self.down)

    def connect(self) -> "Container":
        return self

    def getType(self) -> str:  # noqa: N802 - libvirt's name
        return "LXC"

    def state(self) -> list[int]:
        return [SHUT_OFF if self.down else RUNNING, 0]

    def create(self) -> int:
        with self.one_at_a_time:
            if not self.down:
                raise error(RUNS)
            self.starts += 1
            self.down = False
        return 0

    def destroy(self) -> int:
        with self.one_at_a_time:
            if self.down:
                raise error(REFUSED)
            self.ends += 1
            self.down = True
        return 0

    def sendProcessSignal(self, pid: int, signal: int, _flags: int) -> int:  # noqa: N802 - libvirt's name
        assert (pid, signal) == (1, 0)
        if self.down:
            raise error(REFUSED)
        if self.starts < self.unknown_until_start:
            raise error(NO_INIT)
        return 0

    def shutdown(self) -> int:
        self.asked += 1
        if message := self.answer(self.asked):
            raise error(message)
        self.down = True
        return 0


def shut_down(container: Container, within_s: float) -> None:
    Power(libvirt, container, "lxc", time.monotonic() + within_s).to(PowerAction.SHUTDOWN)


def test_a_container_whose_init_is_not_yet_known_is_asked_until_it_is() -> None:
    container = Container(lambda n: TOO_NEW if n < 3 else "")
    shut_down(container, 30)
    assert (container.down, container.asked) == (True, 3)


def test_one_whose_init_is_never_known_ends_at_the_deadline() -> None:
    with pytest.raises(DeadlineExceeded, match="'box'"):
        shut_down(Container(lambda _: TOO_NEW), 0.2)


def test_any_other_refusal_is_passed_on_at_once() -> None:
    container = Container(lambda _: REFUSED)
    with pytest.raises(libvirt.libvirtError) as caught:
        shut_down(container, 30)
    assert (caught.value.get_error_message(), container.asked) == (REFUSED, 1)


@pytest.mark.parametrize(("known_at", "starts"), [(1, 1), (2, 2), (3, 3), (9, 3)])
def test_a_container_whose_init_the_daemon_does_not_learn_is_started_again(
    known_at: int, starts: int
) -> None:
    container = Container(lambda _: "")
    container.down, container.unknown_until_start = True, known_at
    Power(libvirt, container, "lxc", time.monotonic() + 60).to(PowerAction.ON)
    assert (container.starts, container.down) == (starts, False)


@pytest.mark.parametrize(("known_at", "starts"), [(1, 1), (2, 2), (3, 3), (9, 3)])
def test_workers_beside_each_other_start_it_no_oftener_than_one_would(known_at: int, starts: int) -> None:
    container = Container(lambda _: "")
    container.down, container.unknown_until_start = True, known_at
    powers = [Power(libvirt, container, "lxc", time.monotonic() + 60) for _ in range(4)]
    with ThreadPoolExecutor(len(powers)) as threads:
        for done in [threads.submit(power._on, PowerState.OFF) for power in powers]:
            done.result()
    assert (container.starts, container.ends, container.down) == (starts, starts - 1, False)


def test_a_container_that_ends_by_itself_is_not_started_again() -> None:
    class Short(Container):
        def sendProcessSignal(self, pid: int, signal: int, flags: int) -> int:  # noqa: N802 - libvirt's name
            self.down = True
            return super().sendProcessSignal(pid, signal, flags)

    container = Short(lambda _: "")
    container.down = True
    Power(libvirt, container, "lxc", time.monotonic() + 60).to(PowerAction.ON)
    assert (container.starts, container.ends, container.down) == (1, 0, True)
