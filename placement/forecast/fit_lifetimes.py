"""Lifetimes fitted to machines of which some still run: mixtures by censored maximum likelihood.

What is known of a machine is a cell: it lived from `low_hours` to `high_hours`, or, where that is infinite, longer
than `low_hours`. Mixtures are fitted by expectation maximisation on the cells (Dempster, Laird and Rubin 1977), once
with exponential and once with log-normal parts; how many, and which, is chosen by batches that were held out. Beside them stands an estimate that assumes no law.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import pi, sqrt
from typing import Literal

import numpy as np

from catalog.base import Value
from catalog.wording import counted
from placement.arrays import Bool, Int64
from placement.forecast.lifetimes import AnyPart, Between, Exponential, Lifetimes, LogNormal
from placement.forecast.numbers import Float64

PARTS_MAX = 4
_STEPS_MAX = 300
_SIGMA_LEAST = 0.05
"""Narrower than this a log-normal part only marks one cell."""
_TINY = 1e-300


@dataclass(frozen=True)
class Lived:
    """[N] machines: their cells in hours, and the batch that each came in (any numbers, alike within a batch)."""

    low_hours: Float64
    high_hours: Float64
    batch: Int64

    def __post_init__(self) -> None:
        if not len(self.low_hours) == len(self.high_hours) == len(self.batch):
            msg = "low_hours, high_hours and batch must be of one length"
            raise ValueError(msg)
        if not len(self.low_hours):
            msg = "there are no machines to fit to; give at least one"
            raise ValueError(msg)
        if (self.low_hours < 0).any() or (self.high_hours <= self.low_hours).any():
            msg = "low_hours must not be negative and must be below high_hours"
            raise ValueError(msg)

    def of(self, chosen: Bool) -> "Lived":
        """Some of the machines."""
        return Lived(self.low_hours[chosen], self.high_hours[chosen], self.batch[chosen])

    @property
    def ended(self) -> Bool:
        """[N]."""
        return np.isfinite(self.high_hours)


class LifetimeGoodness(Value):
    """How well a fit tells the lives of machines that it did not see. Likelihoods are in nats a machine, higher is better."""

    machines: int
    held_out: int
    still_running_percent: float
    longest_hours: float
    """The longest that any machine was seen to live; the fit says nothing certain beyond."""
    gap: float
    """The largest difference between the fit's survival and that of the machines held out (Turnbull)."""
    gap_of_chance: float
    """The same between the machines that were fitted to and those held out: no fit can be expected to do better."""
    log_likelihood: float
    log_likelihood_of_one_exponential: float
    """What a single rate would have given."""


class FittedLifetimes(Value):
    """A fit and how good it is."""

    lifetimes: Lifetimes
    goodness: LifetimeGoodness


def fit_lifetimes(
    lived: Lived,
    *,
    kinds: Sequence[Literal["exponential", "log_normal"]] = ("exponential", "log_normal"),
    hold_out_every: int = 5,
) -> FittedLifetimes:
    """The mixture of up to four parts that tells held-out batches best, fitted again to all of them.

    Every `hold_out_every`-th batch is held out, as machines of one batch live alike. Raises ValueError where fewer
    than ten machines ended.
    """
    _enough(lived)
    numbers = np.unique(lived.batch, return_inverse=True)[1]
    held = numbers % hold_out_every == hold_out_every - 1
    seen, unseen = lived.of(~held), lived.of(held) if held.any() else lived
    judge = _Cells(unseen)
    tried = [one for kind in kinds for one in _more_and_more(kind, _Cells(seen), judge)]
    kind, k, found = max(tried, key=lambda one: judge.log_likelihood(one[2]))
    goodness = _goodness(seen, unseen, lived, found)
    final = Lifetimes(parts=_mixture(kind, _Cells(lived), k), together=together(lived))
    return FittedLifetimes(lifetimes=final, goodness=goodness)


def _more_and_more(
    kind: str, cells: "_Cells", judge: "_Cells"
) -> Iterator[tuple[str, int, tuple[AnyPart, ...]]]:
    """Mixtures of one part, two and so on, until one more tells what was held out no better."""
    best = -np.inf
    for k in range(1, PARTS_MAX + 1):
        parts = _mixture(kind, cells, k)
        yield kind, k, parts
        now = judge.log_likelihood(parts)
        if now < best + _BETTER:
            return
        best = now


_BETTER = 1e-4
"""Nats a machine that one more part must be worth."""


def _goodness(seen: Lived, unseen: Lived, lived: Lived, parts: tuple[AnyPart, ...]) -> LifetimeGoodness:
    fitted = Lifetimes(parts=parts)
    hours, survival = empirical_survival(unseen)
    certain = _certain(unseen, hours)
    others, other = empirical_survival(seen)
    by_chance = _at(others, other, hours[certain])
    judge = _Cells(unseen)
    return LifetimeGoodness(
        machines=len(lived.batch),
        held_out=len(unseen.batch),
        still_running_percent=100 * float(1 - lived.ended.mean()),
        longest_hours=float(max(lived.low_hours.max(), lived.high_hours[lived.ended].max())),
        gap=float(np.abs(fitted.survival(hours[certain]) - survival[certain]).max()),
        gap_of_chance=float(np.abs(by_chance - survival[certain]).max()),
        log_likelihood=judge.log_likelihood(parts),
        log_likelihood_of_one_exponential=judge.log_likelihood(_mixture("exponential", _Cells(seen), 1)),
    )


def _at(hours: Float64, survival: Float64, wanted: Float64) -> Float64:
    i = np.searchsorted(hours, wanted, side="right") - 1
    return np.where(i >= 0, survival[np.maximum(i, 0)], 1.0)


def empirical_survival(lived: Lived) -> tuple[Float64, Float64]:
    """Edges of cells and the share of machines that lives longer, with no law assumed.

    The self-consistent estimate (Turnbull 1976), which is that of Kaplan and Meier where ends are known exactly.
    Within a cell that nothing divides it is only one of many that are as likely.
    """
    cells = _Cells(lived)
    is_open = np.isinf(cells.high)
    edges = np.unique(np.concatenate([[0.0], cells.low, cells.high[~is_open]]))
    begin = np.searchsorted(edges, cells.low)
    end = np.where(is_open, len(edges), np.searchsorted(edges, np.where(is_open, 0.0, cells.high)))
    share = np.full(len(edges), 1 / len(edges))
    for _ in range(_STEPS_MAX * 10):
        until = np.concatenate([[0.0], np.cumsum(share)])
        weight = cells.count / np.maximum(until[end] - until[begin], _TINY)
        change = np.zeros(len(edges) + 1)
        np.add.at(change, begin, weight)
        np.add.at(change, end, -weight)
        better = share * np.cumsum(change)[:-1] / cells.count.sum()
        moved = float(np.abs(np.cumsum(better - share)).max())
        share = better / better.sum()
        if moved < 1e-9:
            break
    return edges, np.maximum(1 - np.concatenate([[0.0], np.cumsum(share)[:-1]]), 0.0)


def _certain(lived: Lived, hours: Float64) -> Bool:
    """Whether at most one machine in 200 may have ended on either side of an hour: inside wide cells all is guesswork."""
    low, high = np.sort(lived.low_hours[lived.ended]), np.sort(lived.high_hours[lived.ended])
    # Edges are known to three digits.
    begun = np.searchsorted(low, hours * (1 - 5e-3), side="left")
    over = np.searchsorted(high, hours * (1 + 5e-3), side="right")
    found: Bool = (begun - over <= len(lived.batch) / 200) & (hours > 0)
    return found


def empirical_lifetimes(lived: Lived, *, pieces: int = 60) -> Lifetimes:
    """`empirical_survival` as lifetimes: `pieces` steps at most, each an even stretch, and a tail at the rate of the last ends.

    Raises ValueError where fewer than ten machines ended.
    """
    _enough(lived)
    hours, survival = empirical_survival(lived)
    last = int(np.searchsorted(hours, lived.high_hours[lived.ended].max() * (1 + 1e-2), side="right")) - 1
    known = np.flatnonzero(_certain(lived, hours) & (np.arange(len(hours)) <= last))
    known = known if len(known) else np.array([last])
    wanted = np.linspace(1, float(survival[known[-1]]), pieces + 1)[1:]
    steps = np.minimum(np.searchsorted(-survival[known], -wanted - 1e-12), len(known) - 1)
    # The edge before a large step too, or the step would be spread over the calm before it.
    at = known[np.unique(np.concatenate([steps, np.maximum(steps - 1, 0)]))]
    edges = np.concatenate([[0.0], hours[at]])
    shares = -np.diff(np.concatenate([[1.0], survival[at]]))
    parts: list[AnyPart] = [
        Between(kind="between", share=share, from_hours=low, to_hours=high)
        for share, low, high in zip(shares.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        if share > 0
    ]
    rest = float(survival[at][-1])
    if rest > 1e-6:
        mean = _late_mean(lived)
        parts.append(
            Exponential(kind="exponential", share=rest, mean_hours=mean, after_hours=float(edges[-1]))
        )
    return Lifetimes(parts=tuple(parts), together=together(lived))


def _late_mean(lived: Lived) -> float:
    """Hours lived for each end, among the last hundredth of all ends (ten at least): the slowest rate the data speak of."""
    hours = np.where(lived.ended, lived.high_hours, lived.low_hours)
    ends = np.sort(hours[lived.ended])
    since = float(ends[-1 - max(10, len(ends) // 100)]) if len(ends) > 10 else 0.0
    count = int((ends > since).sum())
    return float(np.maximum(hours - since, 0).sum()) / max(1, count) or 1.0


def _enough(lived: Lived) -> None:
    ended = int(lived.ended.sum())
    if ended < 10:
        msg = f"{counted(ended, 'machine')} ended; at least 10 are needed to fit lifetimes, so watch for longer"
        raise ValueError(msg)


def together(lived: Lived) -> float:
    """The chance that a batch leaves as one: how much more often its machines share a cell than machines at random do.

    With chance r all share it, else as often as any two: same = r + (1 - r) x any. Each batch of two or more weighs
    the same, whatever its size.
    """
    cells, of = np.unique(np.column_stack([lived.low_hours, lived.high_hours]), axis=0, return_inverse=True)
    of = of.ravel()
    any_two = float(((np.bincount(of) / len(of)) ** 2).sum())
    batch = np.unique(lived.batch, return_inverse=True)[1]
    size = np.bincount(batch)
    key, count = np.unique(batch.astype(np.int64) * len(cells) + of, return_counts=True)
    pairs = np.bincount(key // len(cells), weights=count * (count - 1.0), minlength=len(size))
    several = size > 1
    if not several.any() or any_two >= 1:
        return 0.0
    same = float((pairs[several] / (size[several] * (size[several] - 1.0))).mean())
    return float(np.clip((same - any_two) / (1 - any_two), 0.0, 1.0))


class _Cells:
    """Distinct cells and how many machines are in each; bounds to three digits, so that there are not too many."""

    def __init__(self, lived: Lived) -> None:
        low, high = _three_digits(lived.low_hours), _three_digits(lived.high_hours)
        high = np.maximum(high, low + _digit(low))  # An end that is known exactly is known to a digit now.
        cells, count = np.unique(np.column_stack([low, high]), axis=0, return_counts=True)
        self.low, self.high = cells[:, 0], cells[:, 1]
        self.count: Float64 = count.astype(np.float64)

    def log_likelihood(self, parts: tuple[AnyPart, ...]) -> float:
        """The mean of ln P(cell), in nats a machine."""
        p = sum(part.share * _chance(part, self.low, self.high) for part in parts)
        return float((self.count * np.log(np.maximum(p, _TINY))).sum() / self.count.sum())


def _digit(hours: Float64) -> Float64:
    """What the third digit of a number is worth."""
    return 10.0 ** (np.floor(np.log10(np.clip(hours, 1e-3, 1e9))) - 2)


def _three_digits(hours: Float64) -> Float64:
    """Rounded down; a little is added first, as 0.3 / 0.1 is below 3."""
    finite = np.where(np.isfinite(hours), hours, 0.0)
    digit = _digit(finite)
    return np.where(np.isfinite(hours), np.round(np.floor(finite / digit + 1e-6) * digit, 9), hours)


def _chance(part: AnyPart, low: Float64, high: Float64) -> Float64:
    """P(low < lifetime <= high)."""
    upper = np.where(np.isfinite(high), part.survival(np.where(np.isfinite(high), high, 1.0)), 0.0)
    return np.maximum(part.survival(low) - upper, 0.0)


def _mixture(kind: str, cells: _Cells, k: int) -> tuple[AnyPart, ...]:
    """A local maximum of the likelihood, from parts that are spread evenly over the logarithms of what was seen."""
    seen = np.where(np.isfinite(cells.high), (cells.low + cells.high) / 2, cells.low * 2 + 1e-3)
    order = np.argsort(seen)
    cumulative = np.cumsum(cells.count[order]) / cells.count.sum()
    starts = seen[order][np.searchsorted(cumulative, (np.arange(k) + 0.5) / k)]
    weights, centres, widths = np.full(k, 1 / k), np.maximum(starts, 1e-3), np.full(k, 1.0)
    step: _Step = _exponential_step if kind == "exponential" else _log_normal_step
    before = -np.inf
    for _ in range(_STEPS_MAX):
        weights, centres, widths, now = step(cells, weights, centres, widths)
        if now - before < 1e-6:
            break
        before = now
    weights = weights / weights.sum()
    rows = [
        row
        for row in zip(weights.tolist(), centres.tolist(), widths.tolist(), strict=True)
        if row[0] > 1e-6
    ]
    total = sum(row[0] for row in rows)
    if kind == "exponential":
        return tuple(Exponential(kind="exponential", share=w / total, mean_hours=m) for w, m, _ in rows)
    return tuple(LogNormal(kind="log_normal", share=w / total, median_hours=m, sigma=s) for w, m, s in rows)


_Step = Callable[[_Cells, Float64, Float64, Float64], tuple[Float64, Float64, Float64, float]]
"""One step of expectation and maximisation: weights, centres and widths -> better ones, and the old likelihood."""


def _shared(cells: _Cells, weights: Float64, p: Float64) -> tuple[Float64, float]:
    """[K, C] how many machines of each cell belong to each part, and the likelihood."""
    joint = weights[:, None] * p
    total = np.maximum(joint.sum(axis=0), _TINY)
    likelihood = float((cells.count * np.log(total)).sum() / cells.count.sum())
    return joint / total * cells.count, likelihood


def _exponential_step(
    cells: _Cells, weights: Float64, means: Float64, widths: Float64
) -> tuple[Float64, Float64, Float64, float]:
    m = means[:, None]
    low, is_open = cells.low, np.isinf(cells.high)
    high = np.where(is_open, low, cells.high)
    at_low, at_high = np.exp(-low / m), np.where(is_open, 0.0, np.exp(-high / m))
    p = np.maximum(at_low - at_high, 0.0)
    # E[X; cell] = (low + m) e^(-low/m) - (high + m) e^(-high/m); where the cell is out of reach its middle serves.
    part = (low + m) * at_low - (high + m) * at_high
    inside = np.where(p > _TINY, part / np.maximum(p, _TINY), np.where(is_open, low + m, (low + high) / 2))
    held, likelihood = _shared(cells, weights, p)
    amounts = np.maximum(held.sum(axis=1), _TINY)
    return (
        amounts / amounts.sum(),
        np.maximum((held * inside).sum(axis=1) / amounts, 1e-6),
        widths,
        likelihood,
    )


def _log_normal_step(
    cells: _Cells, weights: Float64, medians: Float64, sigmas: Float64
) -> tuple[Float64, Float64, Float64, float]:
    """Moments of a normal within a cell: Johnson, Kotz and Balakrishnan, volume 1, section 13.10.1."""
    mu, s = np.log(medians)[:, None], sigmas[:, None]
    with np.errstate(divide="ignore"):
        a, b = (np.log(cells.low) - mu) / s, (np.log(cells.high) - mu) / s
    p = np.where(a > 0, _tail(a) - _tail(b), _tail(-b) - _tail(-a))
    p = np.maximum(p, 0.0)
    down, up = _density(a), _density(b)
    edge_a, edge_b = np.where(np.isfinite(a), a, 0.0), np.where(np.isfinite(b), b, 0.0)
    safe = np.maximum(p, _TINY)
    near = np.where(np.isfinite(b) & (np.abs(b) < np.abs(edge_a)), edge_b, edge_a)
    first = np.where(p > 1e-14, (down - up) / safe, near)
    second = np.where(p > 1e-14, 1 + (edge_a * down - edge_b * up) / safe, near * near)
    held, likelihood = _shared(cells, weights, p)
    amounts = np.maximum(held.sum(axis=1, keepdims=True), _TINY)
    mean = (held * first).sum(axis=1, keepdims=True) / amounts
    spread = (held * second).sum(axis=1, keepdims=True) / amounts - mean * mean
    new = np.maximum(s * np.sqrt(np.maximum(spread, 0.0)), _SIGMA_LEAST)
    shares = amounts[:, 0] / amounts.sum()
    return shares, np.exp(mu + s * mean)[:, 0], np.minimum(new[:, 0], 10.0), likelihood


def _density(z: Float64) -> Float64:
    return np.where(np.isfinite(z), np.exp(-(np.minimum(np.abs(z), 40.0) ** 2) / 2) / sqrt(2 * pi), 0.0)


def _tail(z: Float64) -> Float64:
    """P(Z > z) with a relative error below 1.2e-7, in one go (Press et al., Numerical Recipes, section 6.2.2, 1992)."""
    x = np.abs(np.clip(z, -60.0, 60.0)) / sqrt(2)
    t = 1 / (1 + x / 2)
    upper = 0.5 * t * np.exp(-x * x + np.polynomial.polynomial.polyval(t, _CHEBYSHEV))
    return np.where(z >= 0, upper, 1 - upper)


_CHEBYSHEV = (
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806,
    0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277,
)  # fmt: skip
