"""``tierwise quote``: what it costs on each tier, and why not where not."""

import re
import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierwise.cli.context import Context
from tierwise.cli.fields import QUOTE
from tierwise.cli.output import Format, Output, emit, stdout
from tierwise.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from catalog.offerings import ParameterKind
    from catalog.orders import Order, ParameterValue
    from placement.plan import Candidate
    from policies.decisions import Rejection
    from tierwise.app import App
    from tierwise.usecases.order import Quoted

Offering = Annotated[str, typer.Argument(help="The offering's name; `tierwise catalog list` shows them.")]
Tenant = Annotated[str, typer.Option("--tenant", help="Who will own the machine and pay for it.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="A parameter of the offering, NAME=VALUE; repeatable.")
]
Tier = Annotated[str | None, typer.Option("--tier", help="Insist on this tier.")]
Seed = Annotated[
    str | None,
    typer.Option("--seed", help="What cloud-init reads: the folder seeds/NAME of the data directory."),
]


def register(root: typer.Typer) -> None:
    """Add the top-level command ``quote``."""
    root.command()(quote)


def quote(
    ctx: typer.Context,
    offering: Offering,
    tenant: Tenant,
    set_: Set = None,
    tier: Tier = None,
    seed: Seed = None,
    output: Output = Format.TABLE,
) -> None:
    """Show the price and the reason for each tier, before anything is ordered."""
    from uuid import UUID

    from tierwise.usecases import order as usecase
    from tierwise.usecases.observe import observe
    from tierwise.usecases.place import estate, unseen

    context: Context = ctx.obj
    with context.app() as app_:
        check_wishes(app_, offering, tenant, tier)
        observe(app_)
        order = usecase.new_order(
            app_,
            order_id=UUID(int=0),
            offering=offering,
            tenant=tenant,
            machine_name="quote",
            parameters=parameters(app_, offering, set_ or []),
            tier=tier,
            seed=seed,
            ordered_by="quote",
        )
        on = estate(app_)
        quoted = usecase.quote(app_, on, order)
        if output is Format.TABLE:
            print_quote(app_, quoted, on.unusable, order)
        else:
            emit(_quote_rows(app_, quoted, on.unusable), output, fields=QUOTE)
        if quoted.over_quota or quoted.assignment.pool is None:
            candidates = [r for c in quoted.assignment.candidates for r in c.rejections]
            raise typer.Exit(code_of([*quoted.over_quota, *candidates, *unseen(app_, on)]))


def code_of(rejections: "Iterable[Rejection]") -> ExitCode:
    """What most nearly stood in the way: only a pool that rules allow can lack room, or be unreachable."""
    lacking = {
        "capacity": ExitCode.NO_PLACE,
        "largest-host": ExitCode.NO_PLACE,
        "endpoint": ExitCode.UNREACHABLE,
    }
    per_pool: dict[str, set[ExitCode]] = {}
    for rejection in rejections:
        code = lacking.get(rejection.rule_id, ExitCode.REFUSED)
        per_pool.setdefault(rejection.pool, set()).add(code)
    if ExitCode.REFUSED in per_pool.get("", set()):  # a quota, whatever the pool
        return ExitCode.REFUSED
    if {ExitCode.NO_PLACE} in per_pool.values():
        return ExitCode.NO_PLACE
    allowed = [codes for codes in per_pool.values() if ExitCode.REFUSED not in codes]
    return ExitCode.UNREACHABLE if allowed else ExitCode.REFUSED


def _quote_rows(app_: "App", quoted: "Quoted", unusable: "Mapping[str, str]") -> list[dict[str, Any]]:
    from tierwise.cli.words import money, price_formula

    entries = app_.documents.catalog.pools
    card = app_.documents.rate_card
    rows: list[dict[str, Any]] = []
    for candidate in quoted.assignment.candidates:
        price = quoted.prices[candidate.tier].total_minor
        chosen = candidate.pool == quoted.assignment.pool and not quoted.over_quota
        why = [*quoted.over_quota, *candidate.rejections]
        rows.append(
            {
                "tier": candidate.tier,
                "pool": candidate.pool,
                "site": entries[candidate.pool].site,
                "price": money(price, card),
                "price_minor": price,
                "currency": card.currency,
                "formula": price_formula(quoted.prices[candidate.tier]),
                **_for_tenant(quoted, candidate.tier),
                "verdict": "recommended" if chosen else ("refused" if why else "possible"),
                "why": _why(chosen, why) + _closest(candidate),
                "remedy": "; ".join(dict.fromkeys(r.remedy for r in why)),
            }
        )
    return rows + _never_reached(app_, unusable, {row["pool"] for row in rows})


def _for_tenant(quoted: "Quoted", tier: str) -> dict[str, Any]:
    """The fields of what is agreed beside the rate card; without any, the price itself."""
    found = quoted.adjusted.get(tier)
    if found is None:
        listed = quoted.prices[tier]
        return {
            "for_tenant": listed.total, "for_tenant_minor": listed.total_minor, "adjustments": "",
            "not_known": "",
        }  # fmt: skip
    return {
        "for_tenant": found.total, "for_tenant_minor": found.total_minor,
        "adjustments": "; ".join(found.texts), "not_known": "; ".join(map(str, found.left_open)),
    }  # fmt: skip


def _never_reached(
    app_: "App", unusable: "Mapping[str, str]", shown: "Collection[str]"
) -> list[dict[str, Any]]:
    nothing = dict.fromkeys(QUOTE.meanings)
    return [
        {
            **nothing,
            "tier": entry.tier,
            "pool": name,
            "site": entry.site,
            "verdict": "unreachable",
            "why": unusable[name],
            "remedy": "`tierwise doctor` says what is wrong",
        }
        for name, entry in app_.documents.catalog.pools.items()
        if name in unusable and name not in shown
    ]


def _closest(candidate: "Candidate") -> str:
    """Whose reasons are told, where the pool has several hosts and not its policies alone refuse it."""
    several = candidate.hosts > 1 and any(name != "allowed" for name in candidate.refused_hosts)
    return f" (on the closest of its {candidate.hosts} hosts)" if several else ""


def _why(chosen: bool, why: "Sequence[Rejection]") -> str:
    if chosen:
        return "cheapest pool that fulfils every rule"
    if not why:
        return "fulfils every rule, but costs more or as much"
    return "; ".join(dict.fromkeys(r.why for r in why))


def print_quote(app_: "App", quoted: "Quoted", unusable: "Mapping[str, str]", order: "Order") -> None:
    """The quote for people: each pool's price or refusal, the formula, and how to order."""
    from tierwise.cli.words import amounts, bullets, price_formula

    request = quoted.request
    console = stdout()
    console.print(
        f"{request.offering}: {amounts(request.resources)}, data: {request.data_classification.value}"
        "   (price of a 30-day month)"
    )
    by_pool = {c.pool: c for c in quoted.assignment.candidates}
    reasons = {c.pool: [*quoted.over_quota, *_telling(c)] for c in quoted.assignment.candidates}
    for row in _quote_rows(app_, quoted, unusable):
        refused = reasons.get(row["pool"], [])
        why = "" if refused else row["why"]
        verdict = f"{row['verdict']}: {why}" if why else row["verdict"]
        console.print(
            f"  {row['tier']:<8} {row['pool']:<12} {row['price'] or '':>12}   {verdict}", markup=False
        )
        for text in bullets(f"{r.why}; {r.remedy}" for r in refused):
            console.print(f"{'':<11}{text}", markup=False)
        if closest := _closest(by_pool[row["pool"]]) if row["pool"] in by_pool else "":
            console.print(f"{'':<11}{closest.strip()}", markup=False)
    chosen = quoted.assignment.pool if not quoted.over_quota else None
    if chosen is None:
        console.print("No pool can take it as things stand; each reason above says what would help.")
        return
    tier = next(c.tier for c in quoted.assignment.candidates if c.pool == chosen)
    price = quoted.prices[tier]
    console.print(
        f"Price of {tier} (rate card {price.card.label}, each product rounded once):\n  {price_formula(price)}\n"
        f"{''.join(_agreed(quoted, tier, order.tenant))}"
        f"Order it:\n  {_again(order)}",
        markup=False,
    )


def _agreed(quoted: "Quoted", tier: str, tenant: str) -> "Iterable[str]":
    """What the tenant's adjustments make of the price, and which of them cannot be told yet."""
    found = quoted.adjusted.get(tier)
    if found is None:
        return
    if found.texts:
        where = f" on the invoices of {' and '.join(found.months)}" if found.months[1:] else ""
        yield f"For {tenant}: {found.total}{where}, with {', '.join(found.texts)}\n"
    for each in found.left_open:
        yield f"  not in it: {each}\n"


def _telling(candidate: "Candidate") -> "Sequence[Rejection]":
    """Where the order insists on another tier, nothing else about the pool matters to who asks."""
    tier = [rejection for rejection in candidate.rejections if rejection.rule_id == "order tier"]
    return tier or candidate.rejections


def _again(order: "Order") -> str:
    texts = {n: str(v).lower() if isinstance(v, bool) else str(v) for n, v in order.parameters.items()}
    sets = "".join(f" --set {shlex.quote(f'{name}={text}')}" for name, text in texts.items())
    tier = f" --tier {order.tier}" if order.tier else ""
    return f"tierwise order create {order.offering} --tenant {order.tenant} --name NAME{sets}{tier}"


def check_wishes(app_: "App", offering: str, tenant: str, tier: str | None) -> None:
    """Raises InvalidInput for a name that the catalog does not have."""
    from tierwise.cli.words import must_be_known

    catalog = app_.documents.catalog
    must_be_known("offering", offering, catalog.offerings)
    must_be_known("tenant", tenant, catalog.tenants)
    must_be_known("tier", tier, catalog.tiers)


def parameters(app_: "App", offering: str, pairs: "Sequence[str]") -> "dict[str, ParameterValue]":
    """``NAME=VALUE`` texts as typed values, by the kinds that the offering declares."""
    from catalog.wording import known_names
    from tierwise.errors import InvalidInput

    declared = app_.documents.catalog.offerings[offering].parameters
    values: dict[str, ParameterValue] = {}
    problems = []
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            problems.append(f"--set {pair}: write NAME=VALUE")
        elif name not in declared:
            problems.append(f"--set {pair}: no such parameter; {known_names(name, declared)}")
        elif name in values:
            problems.append(f"--set {pair}: '{name}' is given twice")
        else:
            try:
                values[name] = _typed(declared[name].kind, text)
            except ValueError as error:
                problems.append(f"--set {pair}: {error}")
    if problems:
        msg = "the parameters are not valid"
        raise InvalidInput(msg, details=problems)
    return values


def _typed(kind: "ParameterKind", text: str) -> "ParameterValue":
    """The value that a text stands for. Raises ValueError, saying what it must be."""
    from catalog.offerings import ParameterKind

    if kind is ParameterKind.INTEGER:
        if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
            msg = "must be a whole number"
            raise ValueError(msg)
        return int(text)
    if kind is ParameterKind.BOOLEAN:
        if text not in {"true", "false"}:
            msg = "must be true or false"
            raise ValueError(msg)
        return text == "true"
    return text
