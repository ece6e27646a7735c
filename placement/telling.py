"""Progress as it is told: of each stage only what is better than what was told before."""

from collections.abc import Callable

from placement.outcome import Listener, Progress

Found = Callable[[int, int], None]
"""Takes a value and what no value is below, of whatever is being made least."""


class Telling:
    """Passes on lower values and higher bounds of the stage at hand; a bound never above its value."""

    def __init__(self, tell: Listener | None) -> None:
        self._tell = tell
        self._stage = ""
        self._value = self._bound = 0

    def __call__(self, solver: str, stage: str, value: int, bound: int) -> None:
        """Tell of a stage; another one than before begins anew."""
        if self._tell is None:
            return
        if stage == self._stage:
            value, bound = min(value, self._value), max(bound, self._bound)
        bound = min(value, bound)
        if (stage, value, bound) != (self._stage, self._value, self._bound):
            self._stage, self._value, self._bound = stage, value, bound
            self._tell(Progress(solver, stage, value, bound))
