"""Misbehaviour on request: which calls go wrong, and how."""

import threading
from typing import Literal, Self

from pydantic import Field, model_validator

from catalog.base import Value


class Rule(Value):
    """One misbehaviour: what happens to calls of `method` (``*``: to all; ``GET /path``: to such requests).

    `fail` answers with the error `code` and its `parameters`; `http` with an HTTP status and nothing else, but
    where a request has `parameters`, it is sent there; `garbage` with what is no XML; `reset` closes the
    connection without an answer; `delay` gives the right answer, late. With `after` the call takes effect first
    and only the answer is changed; to a request with content it happens in the middle of that, and `garbage` ends
    an export there as if that were all. Each waits `delay_ms` before. `times` 0 is always; `skip` calls pass first.
    """

    method: str
    action: Literal["fail", "http", "garbage", "reset", "delay"]
    code: str = ""
    parameters: tuple[str, ...] = ()
    status: int = 503
    delay_ms: int = Field(default=0, ge=0)
    after: bool = False
    times: int = Field(default=0, ge=0)
    skip: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if self.action == "fail" and not self.code:
            msg = "'fail' needs a 'code', one of xapi's errors: VM_BAD_POWER_STATE"
            raise ValueError(msg)
        return self


class Rules:
    """The rules in force, each counted on its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: list[tuple[Rule, list[int]]] = []

    def replace(self, rules: list[Rule]) -> None:
        """Forget the old rules."""
        with self._lock:
            self._seen = [(rule, [0]) for rule in rules]

    def match(self, method: str) -> Rule | None:
        """The first rule that this call is to feel."""
        with self._lock:
            for rule, count in self._seen:
                if rule.method not in {"*", method}:
                    continue
                count[0] += 1
                number = count[0] - rule.skip
                if number > 0 and (rule.times == 0 or number <= rule.times):
                    return rule
        return None
