# ruff: noqa: D102 -- a test suite is made of asserts, and a test's name is its sentence
"""A connection that breaks, says nonsense or falls silent anywhere in an answer: an error in time, and nothing twice."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from catalog.capabilities import Capability
from catalog.pools import Endpoint
from connectors.contract import Connector, PowerState
from connectors.errors import ConnectorError, DeadlineExceeded, NotFound, Unreachable
from tierwise.testing.promises.base import Connect, Counterpart, Machines, Needs, identities, identity_of
from tierwise.testing.wire import Fault, Wire

ANYWHERE = (0, 300, 2500)
"""Bytes of answers after which the wire fails: in a handshake, a header, an envelope, a list."""

Wired = Callable[[float], Connector]
Look = Callable[[Connector], object]
LOOKS: dict[str, Look] = {"probe": lambda one: one.probe(), "list_vms": lambda one: one.list_vms()}


class WirePromises(Counterpart):
    """What holds whatever happens between a connector and its endpoint."""

    @pytest.fixture
    def wire(self, endpoint: Endpoint) -> Iterator[Wire]:
        """A wire to the endpoint; skips where it is not reached by host and port."""
        found = urlsplit(endpoint.address)
        if found.hostname is None or found.port is None:
            pytest.skip("this counterpart is not reached by host and port")
        with Wire(found.hostname, found.port) as wire:
            yield wire

    @pytest.fixture
    def wired(self, wire: Wire, endpoint: Endpoint, connect: Connect, needs: Needs) -> Wired:
        """Opens a connector over the wire, which waits so long for an answer; also closes and opens it again."""
        needs(Capability.CREATE, Capability.DELETE)

        def over(timeout_s: float) -> Connector:
            moved = self.at(endpoint, wire.host_name, wire.port)
            if moved is None:
                pytest.skip("this counterpart is not reached by host and port")
            return connect(moved.model_copy(update={"timeout_s": timeout_s}))

        return over

    @pytest.mark.parametrize(
        ("fault", "what"), [(Fault.CUT, "probe"), (Fault.CUT, "list_vms"), (Fault.GARBLE, "list_vms")]
    )
    def test_a_broken_answer_is_unreachable_and_the_next_look_works(
        self, wire: Wire, wired: Wired, machines: Machines, fault: Fault, what: str
    ) -> None:
        identity = identity_of(machines.make())
        look, connector = LOOKS[what], wired(self.wire_deadline_s)
        for after_bytes in ANYWHERE:
            with wire.failing(fault, after_bytes):
                failed = self.tried(connector, lambda: look(connector))
            assert wire.hit or not failed
            assert failed or after_bytes, "a wire that carries nothing"
            reopen(connector)
            assert look(connector)
            assert identities(connector).count(identity) == 1

    def test_a_page_in_an_answers_place_is_never_taken_for_one(
        self, wire: Wire, wired: Wired, machines: Machines, connector: Connector
    ) -> None:
        identity, other = identity_of(machines.make()), machines.identity()
        spec, over = machines.spec(other), wired(self.wire_deadline_s)
        works: list[Look] = [
            lambda one: one.list_vms(),
            lambda one: one.get_vm(identity),
            lambda one: one.delete_vm(identity),
            lambda one: one.create_vm(spec, other),
        ]
        before = identities(connector)
        for work in works:
            with wire.failing(Fault.PAGE):
                assert self.tried(over, lambda: work(over))  # noqa: B023 -- called here
            reopen(over)
            assert set(identities(over)) - {other} == set(before) - {other}

    def test_an_answer_that_stops_half_way_ends_at_the_deadline(
        self, wire: Wire, wired: Wired, machines: Machines, connector: Connector
    ) -> None:
        machines.make()
        frozen = wired(self.deadline_s)
        with wire.failing(Fault.FREEZE, 40):
            assert self.tried(frozen, frozen.list_vms)
        assert wire.hit
        assert connector.list_vms()

    @pytest.mark.parametrize("after_bytes", [*ANYWHERE, 20_000])
    def test_a_create_and_a_delete_that_are_cut_off_anywhere_are_done_once_by_their_repetition(
        self, wire: Wire, wired: Wired, machines: Machines, after_bytes: int
    ) -> None:
        connector = wired(self.wire_deadline_s)
        self.made_and_removed_once(wire, Fault.CUT, after_bytes, connector, connector, machines)

    @pytest.mark.parametrize("after_bytes", [0, 2500])
    def test_a_create_and_a_delete_that_hang_anywhere_are_done_once_by_who_comes_next(
        self, wire: Wire, wired: Wired, machines: Machines, connector: Connector, after_bytes: int
    ) -> None:
        hanging = wired(self.deadline_s)
        self.made_and_removed_once(wire, Fault.FREEZE, after_bytes, hanging, connector, machines)

    def made_and_removed_once(
        self,
        wire: Wire,
        fault: Fault,
        after_bytes: int,
        failing: Connector,
        finishing: Connector,
        machines: Machines,
    ) -> None:
        """Each of the two fails with one connector and is repeated with the other."""
        identity = machines.identity()
        spec = machines.spec(identity)
        with wire.failing(fault, after_bytes):
            self.tried(failing, lambda: failing.create_vm(spec, identity))
        reopen(finishing)
        view = finishing.create_vm(spec, identity)
        assert (view.power, view.resources) == (PowerState.OFF, spec.resources)
        assert identities(finishing).count(identity) == 1
        reopen(failing)
        with wire.failing(fault, after_bytes):
            self.tried(failing, lambda: failing.delete_vm(identity))
        reopen(finishing)
        finishing.delete_vm(identity)
        assert identity not in identities(finishing)
        with pytest.raises(NotFound):
            finishing.get_vm(identity)

    def tried(self, connector: Connector, work: Callable[[], object]) -> bool:
        """Whether the work failed; it ends in time either way, with an error that says that it may be repeated."""
        started = time.monotonic()
        error: ConnectorError | None = None
        try:
            work()
        except (Unreachable, DeadlineExceeded) as found:
            error = found
        took_s = time.monotonic() - started
        assert took_s <= connector.endpoint.timeout_s * 1.1 + self.deadline_slack_s
        assert error is None or (error.retriable and error.hint)
        return error is not None


def reopen(connector: Connector) -> None:
    """As its owner does after such an error; what is left of the old session must not stand in the way."""
    with suppress(ConnectorError):
        connector.close()
    connector.open()
