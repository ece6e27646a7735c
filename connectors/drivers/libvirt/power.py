"""Bringing a machine to a power state, whatever state it is in."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from connectors.contract import PowerAction, PowerState
from connectors.drivers.libvirt import faults, views
from connectors.errors import Conflict, DeadlineExceeded

ASK_AGAIN_S = 2.0
"""A guest that is still booting does not hear the first shutdown request."""
_STARTS_AGAIN = 2
INIT_S = 3.0
"""A container's init is known within 0.12 s of its start, measured beside four busy processes."""
_POLL_S = 0.1
_PATIENCE = 5

_WOKEN_BY_ITSELF = 7


class Power:
    """The power of one machine. `end_s` is when, on the monotonic clock, waiting is over."""

    def __init__(self, vendor: Any, domain: Any, endpoint: str, end_s: float) -> None:
        self.vendor = vendor
        self.domain = domain
        self.endpoint = endpoint
        self.end_s = end_s

    def to(self, action: PowerAction) -> None:
        """Carry the action out; nothing where its state is there. Raises Conflict, DeadlineExceeded."""
        state = views.power_of(self.domain)
        {
            PowerAction.ON: self._on,
            PowerAction.OFF: self._off,
            PowerAction.SHUTDOWN: self._shutdown,
            PowerAction.SUSPEND: self._suspend,
        }[action](state)

    def _on(self, state: PowerState) -> None:
        if state is PowerState.ON:
            return
        if state is PowerState.UNKNOWN:
            self._off(state)
        if state is PowerState.OFF or not self.domain.isActive():
            self._start()
        elif self.domain.state()[0] == _WOKEN_BY_ITSELF:
            self._unless_there(self.domain.pMWakeup, PowerState.ON)
        else:
            self._unless_there(self.domain.resume, PowerState.ON)

    def _start(self) -> None:
        """Start the machine; a container anew where the daemon does not learn its init.

        Only the worker whose start it was ends a container, so that workers beside each other never end one that
        another has just started; the others wait with it, and start it themselves where it stays off.
        """
        mine = self._unless_there(self.domain.create, PowerState.ON)
        if self.domain.connect().getType() != "LXC":
            return
        for _ in range(_STARTS_AGAIN):
            if self._init_is_known(mine=mine):
                return
            if mine:
                self._unless_there(self.domain.destroy, PowerState.OFF)
            if not self.domain.isActive():
                mine = self._unless_there(self.domain.create, PowerState.ON)

    def _init_is_known(self, *, mine: bool) -> bool:
        """Whether the daemon knows a container's init; True also where no time is left to start it again.

        It is told of it once, which libvirt 9.0 sometimes misses, and could never shut the container down then.
        """
        known_by_s = time.monotonic() + INIT_S
        while True:
            try:
                self.domain.sendProcessSignal(1, self.vendor.VIR_DOMAIN_PROCESS_SIGNAL_NOP, 0)
            except self.vendor.libvirtError as error:
                if not faults.too_new(error) and (mine or self.domain.isActive()):
                    return True  # it has ended, or cannot be asked
            else:
                return True
            now_s = time.monotonic()
            if now_s >= min(known_by_s, self.end_s):
                return now_s >= self.end_s
            time.sleep(_POLL_S)

    def _off(self, state: PowerState) -> None:
        if state is PowerState.OFF:
            return
        if self.domain.isActive():
            self._unless_there(self.domain.destroy, PowerState.OFF)
        if views.has_saved_memory(self.domain):
            self.domain.managedSaveRemove()

    def _suspend(self, state: PowerState) -> None:
        if state is PowerState.SUSPENDED:
            return
        if state is not PowerState.ON:
            raise self._conflict(PowerAction.SUSPEND, state, "power it on first")
        self._unless_there(self.domain.suspend, PowerState.SUSPENDED)

    def _shutdown(self, state: PowerState) -> None:
        if state is PowerState.OFF:
            return
        if state is not PowerState.ON:
            raise self._conflict(PowerAction.SHUTDOWN, state, "power it on first, or power it off")
        ask_s, again = time.monotonic(), False
        while views.power_of(self.domain) is not PowerState.OFF:
            now_s = time.monotonic()
            if now_s >= self.end_s:
                raise self._not_obeyed(asked=again)
            if now_s >= ask_s and self._asked(again=again):
                ask_s, again = now_s + ASK_AGAIN_S, True
            time.sleep(_POLL_S)

    def _asked(self, *, again: bool) -> bool:
        """Ask the guest; False where it is too new to be asked."""
        try:
            self._unless_there(partial(self._ask, again=again), PowerState.OFF)
        except self.vendor.libvirtError as error:
            if not faults.too_new(error):
                raise
            return False
        return True

    def _ask(self, *, again: bool) -> None:
        """Ask the guest; a container first by its init's pipe, then by a signal to its init.

        libvirt 9.0 says that it used the pipe where there is none, so it never comes to the signal by itself.
        """
        if again and self.domain.connect().getType() == "LXC":
            self.domain.shutdownFlags(self.vendor.VIR_DOMAIN_SHUTDOWN_SIGNAL)
        else:
            self.domain.shutdown()

    def _unless_there(self, call: Callable[[], object], state: PowerState) -> bool:
        """Call; False where that fails because another worker has brought the machine to the state already."""
        try:
            call()
        except self.vendor.libvirtError as error:
            if faults.lost(error) or not self._reaches(state):
                raise
            return False
        return True

    def _reaches(self, state: PowerState) -> bool:
        """Whether the state is there, or comes soon: a machine that is being started is paused first."""
        for _ in range(_PATIENCE):
            if views.power_of(self.domain) is state:
                return True
            time.sleep(_POLL_S)
        return False

    def _conflict(self, action: PowerAction, state: PowerState, hint: str) -> Conflict:
        why = f"machine '{self.domain.name()}' is {state.value}"
        return Conflict(self.endpoint, action.value, why, hint=hint)

    def _not_obeyed(self, *, asked: bool) -> DeadlineExceeded:
        name, hint = self.domain.name(), "shut it down from inside, or power it off"
        why = f"the guest of machine '{name}' does not react to the shutdown request"
        if not asked:
            why = f"libvirt does not know the first process of container '{name}', so that its guest cannot be asked"
        return DeadlineExceeded(self.endpoint, PowerAction.SHUTDOWN.value, why, hint=hint)
