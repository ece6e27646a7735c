"""How the simulator misbehaves when it is told to."""

import threading
import time
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import Field, model_validator

from catalog.base import Value


class Rule(Value):
    """One misbehaviour: what happens to calls of `method`, a WS-Management operation or a cmdlet.

    `method` is ``Create``, ``Command``, ``Send``, ``Receive``, ``Signal``, ``Delete`` of a shell, or a cmdlet
    as ``New-VM``. `fault` answers with the WS-Management fault of number `code` (operations only), `error`
    with PowerShell's error of id `error_id` and `category` (cmdlets only), `reset` with a TCP reset (of a cmdlet: when its
    output is asked for), `delay` rightly but late. With `after` the call takes effect first. `times` 0 is
    always; `skip` calls pass first.
    """

    method: str
    action: Literal["fault", "error", "reset", "delay"]
    code: int = 0
    error_id: str = ""
    category: str = "NotSpecified"
    message: str = "a rule of the simulator says so"
    delay_ms: int = Field(default=0, ge=0)
    after: bool = False
    times: int = Field(default=0, ge=0)
    skip: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if self.action == "error" and not self.error_id:
            msg = "'error' needs an 'error_id', one of PowerShell's: InvalidState"
            raise ValueError(msg)
        if self.action == "fault" and not self.code:
            msg = "'fault' needs a 'code', the number of one of WS-Management's: 2150858843"
            raise ValueError(msg)
        return self


@dataclass
class _Armed:
    """A rule in force, and how many calls it has seen."""

    rule: Rule
    seen: int = 0

    def applies(self) -> bool:
        """Whether it applies to one more call, which is counted."""
        self.seen += 1
        passed = self.seen > self.rule.skip
        return passed and (not self.rule.times or self.seen <= self.rule.skip + self.rule.times)


class Rules:
    """The rules in force, and how often each thing was called since they were set."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[_Armed] = []
        self.calls: dict[str, int] = {}

    def replace(self, rules: list[Rule]) -> None:
        """New rules; counting starts anew."""
        with self._lock:
            self._armed = [_Armed(rule) for rule in rules]
            self.calls = {}

    def called(self, method: str) -> Rule | None:
        """Count a call; the rule that applies to it, if one does. Waits out the rule's delay."""
        with self._lock:
            self.calls[method] = self.calls.get(method, 0) + 1
            applying = [one.rule for one in self._armed if one.rule.method == method and one.applies()]
        if not applying:
            return None
        time.sleep(applying[0].delay_ms / 1000)
        return applying[0]
