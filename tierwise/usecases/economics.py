"""Economics documents of files: read, shown, checked, and made into rates; no estate and no database."""

import importlib.resources
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

from catalog.documents import DocumentError
from chargeback.economics.costing import MissingFigure, products
from chargeback.economics.document import Economics, load_economics
from chargeback.economics.figures import Evidence, Statement
from chargeback.economics.fleet import TierCost, tier_cost
from chargeback.economics.rates import InvalidRates, Proposal, ProposedRate, propose
from chargeback.money import Rounding, exact_text, nanos_to_text, round_to_minor, spelled
from placement.amounts import half_up
from tierwise.documents import MAX_FILE_BYTES
from tierwise.errors import InvalidInput

STALE_AFTER_DAYS = 730
"""A price that was seen longer ago is told as old."""


def load(file: Path) -> Economics:
    """The document in a file. Raises InvalidInput with everything that is wrong in its details."""
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            msg = f"{file}: more than the {MAX_FILE_BYTES} bytes that a document may have; split it"
            raise InvalidInput(msg)
        return load_economics(file.read_text(encoding="utf-8-sig"), str(file))
    except UnicodeDecodeError as error:
        msg = f"{file}: not UTF-8 text (byte {error.start}); save it as UTF-8"
        raise InvalidInput(msg) from None
    except OSError as error:
        msg = f"{file}: cannot be read: {error.strerror}"
        raise InvalidInput(msg) from None
    except DocumentError as error:
        count = len(error.problems)
        msg = f"{file}: {count} {'problem' if count == 1 else 'problems'}; nothing was loaded"
        raise InvalidInput(msg, details=[str(one) for one in error.problems]) from None


def figure_rows(economics: Economics, day: date | None, region: str | None) -> list[dict[str, Any]]:
    """Every value of every figure; of a day only those that hold on it in a region."""
    rows = []
    for path, figure in economics.figures():
        chosen = figure.at(day, region) if day is not None else None
        for place, one in figure.statements():
            if day is not None and (chosen is None or chosen[0] != place):
                continue
            rows.append({
                "figure": path + place,
                "value": exact_text(one.value),
                "from": one.since.isoformat() if one.since else "",
                "until": one.until.isoformat() if one.until else "",
                "region": one.region or "",
                "price": one.price or "",
                "evidence": one.evidence.value if one.evidence else "",
                "as_of": one.as_of.isoformat() if one.as_of else "",
                "source": one.source or "",
            })  # fmt: skip
    return rows


def defaults() -> str:
    """The text of the document of defaults that comes with tierwise."""
    packaged = Path(str(importlib.resources.files("tierwise"))) / "examples"
    name = Path("economics") / "defaults.yaml"
    for root in (packaged, packaged.parents[1] / "examples"):
        if (root / name).is_file():
            return (root / name).read_text(encoding="utf-8")
    msg = f"{name} is not in this installation; install tierwise again"
    raise InvalidInput(msg)


def licence_rows(
    economics: Economics, start: date, months: int, region: str | None
) -> list[dict[str, Any]]:
    """Each way to license each product in each stretch of the time, and what a pack costs there. Raises InvalidInput."""
    try:
        found = products(economics, start, months, region)
    except MissingFigure as error:
        raise InvalidInput(str(error)) from None
    money = Money(economics.currency, economics.minor_digits)
    return [
        {
            "product": terms.product, "from": terms.start.isoformat(), "months": terms.months,
            "alternative": way.name, "metric": way.metric, "pack_size": way.pack_size, "owned_packs": way.owned_packs,
            "pack_cost": money.micros(half_up(way.pack_cost)), "sunk": money.micros(terms.sunk_micros), "reach": terms.reach,
            "accepts": ", ".join(terms.accepts), "pack_cost_micros": half_up(way.pack_cost), "sunk_micros": terms.sunk_micros,
        }
        for terms in found
        for way in terms.alternatives
    ]  # fmt: skip


def findings(economics: Economics, day: date) -> list[dict[str, str]]:
    """What a reader should know of figures: assumptions, contested and old ones, and those that say nothing of a day."""
    found = []
    for path, figure in economics.figures():
        said = [one for one in figure.statements() if one[1].holds(day, one[1].region)]
        if not said:
            found.append(_finding("note", path, f"says nothing of {day}; add a value that holds then"))
        for place, one in said:
            if one.assumed:
                found.append(_finding("note", path + place, "assumption: put your own here"))
            elif one.evidence is Evidence.CONTESTED:
                found.append(_finding("note", path + place, "contested: ask for it in writing"))
            elif _old(one, day):
                found.append(_finding("note", path + place, f"of {one.as_of}: does it still hold?"))
    return found


def _old(one: Statement, day: date) -> bool:
    """Whether it is what somebody asked for long ago; what was paid or measured does not grow old."""
    lasting = one.evidence in {Evidence.INVOICE, Evidence.CONTRACT, Evidence.MEASURED}
    return not lasting and one.as_of is not None and (day - one.as_of).days > STALE_AFTER_DAYS


def _finding(verdict: str, subject: str, text: str) -> dict[str, str]:
    return {"verdict": verdict, "subject": subject, "finding": text}


def proposals(economics: Economics, start: date, months: int, decimals: int = 6) -> list[Proposal]:
    """The rates of each tier of the fleet, hypervisors' licences included. Raises InvalidInput."""
    from tierwise.usecases.fleet_licences import licences_by_pool  # noqa: PLC0415 - it waits for numpy

    try:
        licences = licences_by_pool(economics, start, months)
        tiers = [
            tier.name for tier in economics.tiers if tier.name in {one.tier for one in economics.fleet}
        ]
        if not tiers:
            msg = (
                "fleet: nothing stands in any tier; describe what does, so that its cost can be shared out"
            )
            raise InvalidInput(msg)
        return [
            propose(economics, tier_cost(economics, tier, start, months, licences), decimals)
            for tier in tiers
        ]
    except (MissingFigure, InvalidRates) as error:
        raise InvalidInput(str(error)) from None


@dataclass(frozen=True)
class Money:
    """Amounts in the words of one currency."""

    currency: str
    minor_digits: int = 2

    def micros(self, micros: int | Fraction) -> str:
        """``EUR 1,234.50``, rounded half up."""
        return self.minor(round_to_minor(Fraction(micros) * 1000, self.minor_digits, Rounding.HALF_UP))

    def minor(self, minor: int) -> str:
        """The same of minor units."""
        return spelled(minor, self.minor_digits, self.currency)


def rate_rows(
    found: Sequence[Proposal], money: Money, metered: Mapping[str, Mapping[str, int]] | None = None
) -> list[dict[str, Any]]:
    """One row a rate, and one a tier for what no use pays for; `metered` is tier -> resource -> quantity x seconds."""
    rows = []
    for proposal in found:
        used = None if metered is None else metered.get(proposal.cost.tier, {})
        lines = {line.resource: line for line in proposal.recovery(money.minor_digits, used)}
        for rate in proposal.rates:
            line = lines[rate.resource]
            rows.append({
                "tier": rate.tier, "resource": rate.resource, "unit": rate.unit, "rate": nanos_to_text(rate.rate_nanos),
                "cost": money.minor(line.cost_minor), "recovered": money.minor(line.recovered_minor),
                "capacity": rate.capacity, "used": _average(rate, used), "target_percent": exact_text(rate.target_percent),
                "cost_minor": line.cost_minor, "recovered_minor": line.recovered_minor,
            })  # fmt: skip
        rest = lines[""]
        rows.append({
            "tier": proposal.cost.tier, "resource": "unrecovered", "unit": "", "rate": "", "cost": "",
            "recovered": money.minor(rest.recovered_minor), "capacity": "", "used": "", "target_percent": "",
            "cost_minor": 0, "recovered_minor": rest.recovered_minor,
        })  # fmt: skip
    return rows


def recovery_words(
    found: Sequence[Proposal], money: Money, metered: Mapping[str, Mapping[str, int]] | None = None
) -> list[str]:
    """For each tier, how much of its cost use does not recover, or how much more than that it does."""
    said = []
    for proposal in found:
        tier = proposal.cost.tier
        lines = proposal.recovery(money.minor_digits, None if metered is None else metered.get(tier, {}))
        cost, rest = sum(line.cost_minor for line in lines), lines[-1].recovered_minor
        if rest < 0:
            said.append(
                f"{tier}: use recovers {money.minor(-rest)} more than the {money.minor(cost)} that the tier costs, so that "
                "unrecovered is below zero"
            )
        else:
            said.append(f"{tier}: use does not recover {money.minor(rest)} of {money.minor(cost)}")
    return said


def _average(rate: ProposedRate, metered: Mapping[str, int] | None) -> int:
    return (
        rate.used if metered is None else round(Fraction(metered.get(rate.resource, 0), rate.hours * 3600))
    )


def trace_rows(cost: TierCost) -> list[dict[str, Any]]:
    """One row a line of a tier's cost: what it is, its figures with their places, and how often."""
    return [
        {
            "tier": cost.tier, "fleet": one.fleet, "term": one.line.term, "part": one.line.part, "what": one.line.what,
            "quantity": one.quantity, "months": one.line.months, "of": one.line.over,
            "figures": " ".join(
                f"{'/' if factor.divides else '*'} {exact_text(factor.value)} {factor.path or factor.what}"
                for factor in one.line.factors
            ).removeprefix("* "),
            "sources": "; ".join(dict.fromkeys(factor.source for factor in one.line.factors if factor.source)),
            "micros": one.micros,
        }
        for one in cost.traced
    ]  # fmt: skip


def summary(economics: Economics) -> str:
    """How much is in a document, in a sentence."""
    figures, assumed = sum(1 for _ in economics.figures()), len(economics.assumed())
    return f"{economics.title}: {figures} figures in {economics.currency}, {assumed} of them assumptions"
