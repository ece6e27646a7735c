"""One time limit for a whole call, however many requests it takes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

GRACE = 0.05
"""Part of the limit that cleaning up may take after it has passed."""


class Deadline:
    """The end of the call under way; requests read it before each step that can block."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._end_s = 0.0
        self._cleanup_end_s = 0.0
        self.begin()

    def begin(self) -> None:
        """Start a new call."""
        self._end_s = time.monotonic() + self.limit_s
        self._cleanup_end_s = self._end_s + self.limit_s * GRACE

    def left_s(self) -> float:
        """Seconds left, more than zero. Raises TimeoutError when there are none."""
        left_s = self._end_s - time.monotonic()
        if left_s <= 0:
            msg = f"no answer within {self.limit_s:g} s"
            raise TimeoutError(msg)
        return left_s

    @contextmanager
    def cleanup(self) -> Iterator[None]:
        """Let what is inside run a little past the end, so that nothing stays behind at the server."""
        end_s, self._end_s = self._end_s, self._cleanup_end_s
        try:
            yield
        finally:
            self._end_s = end_s
