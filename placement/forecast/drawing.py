"""Drawing lifetimes, and what is left of them, in columns."""

from collections.abc import Callable, Mapping, Sequence
from math import exp, inf, log, sqrt

import numpy as np

from placement.arrays import Int64
from placement.forecast.lifetimes import AnyPart, Between, Exponential, Lifetimes, LogNormal
from placement.forecast.numbers import Float64, normal_tail

_EXPONENTIAL, _LOG_NORMAL, _UNIFORM, _STAYS, _DECLINING, _SOON_OR_LATE, _OLDER = range(7)

Law = tuple[float, int, float, float, float]
"""Weight, kind and up to three numbers of one law that is drawn from."""


FOREVER: Law = (1.0, _STAYS, 0.0, 0.0, 0.0)
"""Never leaves."""


def fresh(lifetimes: Lifetimes) -> list[Law]:
    """What a new machine's lifetime is drawn from."""
    return [_law(part) for part in lifetimes.parts]


def _law(part: AnyPart) -> Law:
    if isinstance(part, Exponential):
        return part.share, _EXPONENTIAL, part.mean_hours, part.after_hours, 0.0
    if isinstance(part, LogNormal):
        return part.share, _LOG_NORMAL, log(part.median_hours), part.sigma, 0.0
    if isinstance(part, Between):
        return part.share, _UNIFORM, part.from_hours, part.to_hours, 0.0
    return part.share, *FOREVER[1:]


def remaining(lifetimes: Lifetimes, age_hours: float) -> list[Law]:
    """What is left of the life of a machine that has lived for `age_hours`.

    Each law's weight is that of having lived so long by it (Bayes). Raises ValueError where no law lives so long.
    """
    logs = [log(part.share) + _log_survival(part, age_hours) for part in lifetimes.parts]
    top = max(logs)
    if top == -inf:
        msg = f"a machine of age {age_hours:g} hours is older than these lifetimes allow; add a part that lives longer"
        raise ValueError(msg)
    return [
        _aged(part, age_hours, exp(weight - top))
        for part, weight in zip(lifetimes.parts, logs, strict=True)
        if weight - top > -40
    ]


def _log_survival(part: AnyPart, age: float) -> float:
    if isinstance(part, Exponential):
        return -max(0.0, age - part.after_hours) / part.mean_hours
    if isinstance(part, LogNormal):
        z = (log(age) - log(part.median_hours)) / part.sigma if age > 0 else -inf
        # Far out the tail underflows; its first-order expansion is as good there (Abramowitz and Stegun 26.2.12).
        return -z * z / 2 - log(z * sqrt(2 * np.pi)) if z > _FAR else log(float(normal_tail(np.array(z))))
    left = float(part.survival(np.array([age]))[0])
    return log(left) if left > 0 else -inf


_FAR = 30.0


def _aged(part: AnyPart, age: float, weight: float) -> Law:
    if isinstance(part, Exponential):
        return weight, _EXPONENTIAL, part.mean_hours, max(0.0, part.after_hours - age), 0.0
    if isinstance(part, LogNormal):
        if age <= 0:
            return weight, *_law(part)[1:]
        return weight, _OLDER, log(part.median_hours), part.sigma, age
    if isinstance(part, Between):
        return weight, _UNIFORM, max(0.0, part.from_hours - age), part.to_hours - age, 0.0
    return weight, _STAYS, 0.0, 0.0, 0.0


def in_balance(lifetimes: Lifetimes) -> list[Law]:
    """What is left of a life that is met at a random moment, long after the first machine came.

    The density of it is survival / mean (Cox, Renewal Theory, 1962, section 5.2): long lives are met more often. Where
    some never leave, they are all that is met.
    """
    found = [law for part in lifetimes.parts for law in _met(part)]
    staying = [law for law in found if law[1] == _STAYS]
    return staying or [law for law in found if law[0] > 0]


def _met(part: AnyPart) -> list[Law]:
    """Each weighted by its part of the mean."""
    if isinstance(part, Exponential):
        before = (part.share * part.after_hours, _UNIFORM, 0.0, part.after_hours, 0.0)
        return [
            before,
            (part.share * part.mean_hours, _EXPONENTIAL, part.mean_hours, part.after_hours, 0.0),
        ]
    if isinstance(part, LogNormal):
        weight = part.share * part.mean()
        return [(weight, _SOON_OR_LATE, log(part.median_hours) + part.sigma**2, part.sigma, 0.0)]
    if isinstance(part, Between):
        flat = (part.share * part.from_hours, _UNIFORM, 0.0, part.from_hours, 0.0)
        width = part.to_hours - part.from_hours
        return [flat, (part.share * width / 2, _DECLINING, part.from_hours, part.to_hours, 0.0)]
    return [(part.share, _STAYS, 0.0, 0.0, 0.0)]


class LifetimeTable:
    """Many mixtures as columns, drawn from in one go."""

    def __init__(self, mixtures: Sequence[Sequence[Law]]) -> None:
        kinds, self._a, self._b, self._c = (
            np.array([law[i] for laws in mixtures for law in laws], dtype=np.float64) for i in (1, 2, 3, 4)
        )
        self._kind = kinds.astype(np.int64)
        self._until = stacked([[law[0] for law in laws] for laws in mixtures])

    def draw(self, chance: np.random.Generator, mixture: Int64) -> Float64:
        """[N] hours, one of each mixture named (by its index); infinite where a machine stays."""
        part = picked(self._until, mixture, chance.random(len(mixture)))
        kind = self._kind[part]
        hours = np.full(len(part), inf)
        for one in np.unique(kind[kind != _STAYS]).tolist():
            at = np.flatnonzero(kind == one)
            a, b, c = (numbers[part[at]] for numbers in (self._a, self._b, self._c))
            hours[at] = _older(chance, a, b, c) if one == _OLDER else _DRAWN[one](chance, a, b)
        return hours


def stacked(weights: Sequence[Sequence[float]]) -> Float64:
    """Cumulative weights of many distributions in one rising row: those of the i-th end at i + 1.

    `picked` draws from it.
    """
    rows = []
    for i, one in enumerate(weights):
        row = np.cumsum(np.asarray(one, dtype=np.float64))
        row = i + row / row[-1]
        row[-1] = i + 1
        rows.append(row)
    return np.concatenate(rows) if rows else np.zeros(0)


def picked(until: Float64, which: Int64, uniform: Float64) -> Int64:
    """[N] indexes into what was `stacked`, one of each distribution named, for uniform numbers in [0, 1)."""
    # Rounding could lift i + u to i + 1, which is the next distribution's.
    key = np.minimum(which + uniform, np.nextafter(which + 1.0, 0.0))
    found: Int64 = np.searchsorted(until, key, side="right")
    return found


def _older(chance: np.random.Generator, mu: Float64, sigma: Float64, age: Float64) -> Float64:
    """A log-normal beyond an age, less the age: Robert's rejection for the tail of a normal (1995, doi 10.1007/BF00143942).

    In the body of the law plain rejection is as quick: draws until they are beyond.
    """
    least = (np.log(age) - mu) / sigma
    rate = (least + np.sqrt(least * least + 4)) / 2
    z = np.empty(len(least))
    left = np.arange(len(least))
    while len(left):
        low, at = least[left], rate[left]
        tail = low + chance.standard_exponential(len(left)) / at
        body = chance.standard_normal(len(left))
        kept = chance.random(len(left)) <= np.exp(-((tail - at) ** 2) / 2)
        is_tail = low > 0
        z[left] = np.where(is_tail, tail, body)
        left = left[~np.where(is_tail, kept, body >= low)]
    hours: Float64 = np.exp(mu + sigma * z) - age
    return np.maximum(hours, 0.0)


_Draw = Callable[[np.random.Generator, Float64, Float64], Float64]

_DRAWN: Mapping[int, _Draw] = {
    _EXPONENTIAL: lambda chance, a, b: b + a * chance.standard_exponential(len(a)),
    _LOG_NORMAL: lambda chance, a, b: np.exp(a + b * chance.standard_normal(len(a))),
    _UNIFORM: lambda chance, a, b: a + (b - a) * chance.random(len(a)),
    _DECLINING: lambda chance, a, b: a + (b - a) * (1 - np.sqrt(chance.random(len(a)))),
    _SOON_OR_LATE: lambda chance, a, b: (
        chance.random(len(a)) * np.exp(a + b * chance.standard_normal(len(a)))
    ),
}
"""How each kind is drawn from its first two numbers."""
