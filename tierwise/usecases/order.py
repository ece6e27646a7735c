"""Ordering machines: quote, accept, place, and follow until they are delivered."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from dbos import DBOS, PortableWorkflowError, SetWorkflowID
from pydantic import ValidationError
from sqlmodel import col, select

from catalog.orders import Order, ParameterValue, Request
from catalog.resolve import OrderInvalid, resolve
from catalog.wording import counted, expectation, shown
from chargeback.labels import labels_text
from chargeback.quotes import Quote, Whose, price
from chargeback.quotes_adjusted import AdjustedQuote, for_tenant
from chargeback.terms import NO_TERMS
from placement.plan import Assignment, Limits, Plan
from placement.solve import solve
from policies.decisions import Rejection
from tierwise import seeds
from tierwise.app import App
from tierwise.errors import InvalidInput, TierwiseError
from tierwise.jobs import workflows
from tierwise.jobs.runtime import current
from tierwise.store import orders as order_store
from tierwise.store.tables import BatchRow, OrderRow, OrderStatus
from tierwise.usecases.metering import epoch
from tierwise.usecases.place import HORIZON_HOURS, Estate, estate, plan_requests, problem_for, unseen

_IDLE_LIMIT_S = 60.0
"""How long the engine may leave open orders alone before whoever waits for them is told."""

FINAL = (OrderStatus.DELIVERED, OrderStatus.REFUSED, OrderStatus.FAILED, OrderStatus.REMOVED)


@dataclass(frozen=True)
class Quoted:
    """What a request would cost on each tier, and why not where not."""

    request: Request
    assignment: Assignment
    over_quota: tuple[Rejection, ...]
    prices: Mapping[str, Quote]
    """Tier name -> the priced lines of a 30-day month."""
    adjusted: Mapping[str, AdjustedQuote]
    """The same with what is agreed with the tenant beside the rate card; empty where nothing is."""


def resolved(app: App, order: Order) -> Request:
    """The order with its offering's defaults. Raises InvalidInput with every problem in `details`."""
    problems = []
    try:
        request = resolve(app.documents.catalog, order)
    except OrderInvalid as error:
        problems = [str(p) for p in error.problems]
    if order.seed is not None:
        try:
            seeds.read(app.settings.seeds_dir, order.seed)
        except InvalidInput as error:
            problems.append(str(error))
    if problems:
        msg = f"order for '{order.machine_name}' is not valid"
        raise InvalidInput(msg, details=problems)
    return request


def quote(app: App, on: Estate, order: Order) -> Quoted:
    """Price and reason per pool, before anything is ordered; changes nothing."""
    request = resolved(app, order)
    planned = plan_requests(app, on, [request])
    over_quota = planned.over_quota.get(0, ())
    if over_quota:
        # The prices are of interest all the same: plan as if the quota were not there.
        assignment = solve(problem_for(app, on, [request], made=True), Limits()).assignments[0]
    else:
        assignment = planned.plan.assignments[0]
    prices = _prices(app, on, request)
    return Quoted(request, assignment, over_quota, prices, _adjusted(app, on, order, request, prices))


def _prices(app: App, on: Estate, request: Request) -> dict[str, Quote]:
    card = app.documents.rate_card
    tiers = dict.fromkeys(pool.tier for pool in on.pools)
    return {tier: price(request.resources, tier, card, at=on.moment, hours=HORIZON_HOURS) for tier in tiers}


def _adjusted(
    app: App, on: Estate, order: Order, request: Request, prices: Mapping[str, Quote]
) -> dict[str, AdjustedQuote]:
    documents = app.documents
    if documents.terms == NO_TERMS:
        return {}
    tenant = documents.catalog.tenants[order.tenant]
    # What a machine has when it is made; its guest's labels come later.
    labels = labels_text({"class": request.workload_class, "offering": request.offering})
    at = epoch(on.moment)
    return {
        tier: for_tenant(
            request.resources, documents.rate_card,
            Whose("quoted", order.tenant, tenant.cost_centre, tier, "", labels), documents.terms,
            at=at, hours=HORIZON_HOURS, known_at=at,
        )
        for tier in prices
    }  # fmt: skip


def submit(
    app: App, batch_id: UUID, orders: Sequence[Order], progress: Callable[[int, int], None] | None = None
) -> list[OrderRow]:
    """Order machines and wait until each is delivered, refused or failed.

    Doing it again with the same `batch_id` gives the same result and makes nothing twice. Needs a
    running `tierwise.jobs.runtime`. `progress` is told (finished, all). Raises InvalidInput when an
    order is wrong, in which case nothing of the batch was accepted.
    """
    requests = _resolve_all(app, orders)
    accepted = [
        {"order": o.model_dump(mode="json"), "request": r.model_dump(mode="json")}
        for o, r in zip(orders, requests, strict=True)
    ]
    with SetWorkflowID(f"fulfil:{batch_id}"):
        handle = DBOS.start_workflow(workflows.fulfil, str(batch_id), accepted)
    try:
        result = handle.get_result(polling_interval_sec=0.05)
    except PortableWorkflowError as error:
        # What an earlier try with this batch id ended with; its own type and trace are gone.
        msg = f"batch {batch_id} was not accepted: {error}"
        raise TierwiseError(msg) from None
    if result["clashes"]:
        msg = "names and ids must be unused; nothing was ordered"
        raise InvalidInput(msg, details=result["clashes"])
    return follow(app, str(batch_id), progress)


def _resolve_all(app: App, orders: Sequence[Order]) -> list[Request]:
    requests: list[Request] = []
    problems: list[str] = []
    for order in orders:
        try:
            requests.append(resolved(app, order))
        except InvalidInput as error:
            problems += [f"{order.machine_name}: {detail}" for detail in error.details]
    if problems:
        msg = f"{counted(len(problems), 'problem')} in {counted(len(orders), 'order')}; nothing was ordered"
        raise InvalidInput(msg, details=problems)
    return requests


def follow(
    app: App, batch_id: str, progress: Callable[[int, int], None] | None = None, poll_s: float = 0.05
) -> list[OrderRow]:
    """Wait until every order of the batch is final. Raises TierwiseError when nobody works on it."""
    watch = _Watch(app, poll_s)
    while True:
        with app.session() as session:
            rows = order_store.batch(session, batch_id)
        done = sum(row.status in FINAL for row in rows)
        if progress is not None:
            progress(done, len(rows))
        if done == len(rows):
            return rows
        _raise_if_stuck(batch_id, rows)
        watch.wait(done)


class _Watch:
    """Waits, but not for ever for an engine that a full disk silenced."""

    def __init__(self, app: App, poll_s: float) -> None:
        self._app = app
        self._poll_s = poll_s
        self._idle_s = 0.0
        self._state = -1

    def wait(self, state: int) -> None:
        """One poll. Raises TierwiseError when `state` stayed as it was and nothing is worked on."""
        busy = bool(current().active) or state != self._state
        self._state = state
        self._idle_s = 0.0 if busy else self._idle_s + self._poll_s
        if self._idle_s > _IDLE_LIMIT_S:
            with self._app.session() as session:
                order_store.lock(session)
                session.commit()
            msg = (
                f"nobody works on the open orders of {self._app.settings.data_dir} any more; "
                "free some space on its disk, then `tierwise order resume`"
            )
            raise TierwiseError(msg)
        time.sleep(self._poll_s)


def _raise_if_stuck(batch_id: str, rows: Sequence[OrderRow]) -> None:
    """Nobody works any more on a workflow that ended with an error: waiting for it would never end."""
    names = {f"provision:{row.id}": row.machine_name for row in rows if row.status not in FINAL}
    failed = {
        work.workflow_id: str(work.error)
        for prefix in (f"fulfil:{batch_id}", "provision:")
        for work in DBOS.list_workflows(workflow_id_prefix=prefix, status="ERROR", load_input=False)
    }
    if f"fulfil:{batch_id}" in failed:
        msg = f"batch {batch_id} could not be placed: {failed[f'fulfil:{batch_id}']}"
        raise TierwiseError(msg)
    failed = {**current().stopped, **failed}
    stuck = [f"{name}: {failed[work]}" for work, name in names.items() if work in failed]
    if stuck:
        msg = f"{counted(len(stuck), 'order')} stopped half-way; `tierwise order resume` finishes or closes what is open"
        raise TierwiseError(msg, details=stuck)


def plan_batch(app: App, batch_id: str) -> dict[str, Any]:
    """The plan of an accepted batch, with the price of each placed order, as plain data."""
    on = estate(app)
    with app.session() as session:
        rows = order_store.batch(session, batch_id)
    requests = [order_store.request_of(row) for row in rows]
    planned = plan_requests(app, on, requests)
    by_id = {str(request.order_id): request for request in requests}
    card = app.documents.rate_card
    tier_of = {pool.name: pool.tier for pool in on.pools}
    price_minor = {
        a.request_id: price(
            by_id[a.request_id].resources, tier_of[a.pool], card, at=on.moment, hours=HORIZON_HOURS
        ).total_minor
        for a in planned.plan.assignments
        if a.pool is not None
    }
    return {
        "version": on.version,
        "plan": planned.plan.model_dump(mode="json"),
        "price_minor": price_minor,
        "unseen": [r.model_dump() for r in unseen(app, on)],
        "over_quota": {rows[i].id: [r.model_dump() for r in why] for i, why in planned.over_quota.items()},
    }


def list_orders(app: App, status: str | None = None, tenant: str | None = None) -> list[OrderRow]:
    """Orders, newest first, filtered."""
    query = select(OrderRow).order_by(col(OrderRow.ordered_at).desc(), col(OrderRow.position))
    if status is not None:
        query = query.where(OrderRow.status == status)
    if tenant is not None:
        query = query.where(OrderRow.tenant == tenant)
    with app.session() as session:
        return list(session.exec(query))


def new_order(
    app: App,
    *,
    order_id: UUID,
    offering: str,
    tenant: str,
    machine_name: str,
    parameters: Mapping[str, ParameterValue],
    tier: str | None,
    ordered_by: str,
    seed: str | None = None,
) -> Order:
    """An order made now. Raises InvalidInput naming what is wrong with its fields."""
    try:
        return Order(
            id=order_id,
            offering=offering,
            tenant=tenant,
            machine_name=machine_name,
            parameters=parameters,
            tier=tier,
            seed=seed,
            ordered_by=ordered_by,
            ordered_at=app.clock.now(),
        )
    except ValidationError as error:
        details = [
            f"{'.'.join(str(p) for p in e['loc'])}: {expectation(dict(e), ())} (found {shown(e['input'])})"
            for e in error.errors()
        ]
        msg = "the order is not valid"
        raise InvalidInput(msg, details=details) from None


def explained(app: App, wanted: str) -> dict[str, Any]:
    """One order with its plan: where it went, what every pool would have cost, and why not there."""
    with app.session() as session:
        row = order_store.find(session, wanted)
        batch_row = session.get_one(BatchRow, row.batch_id)
    plan = Plan.model_validate_json(batch_row.plan) if batch_row.plan else None
    mine = [a for a in plan.assignments if a.request_id == row.id] if plan else []
    return {
        "order": json.loads(row.document),
        "request": json.loads(row.request),
        "status": row.status,
        "tier": row.tier,
        "pool": row.pool,
        "price_minor": row.price_minor,
        "finished_at": row.finished_at.isoformat() if row.finished_at else None,
        "why": json.loads(row.why),
        "candidates": [c.model_dump(mode="json") for a in mine for c in a.candidates],
        "plan": None
        if plan is None
        else {
            "solver": plan.solver,
            "status": plan.status.value,
            "cost_micros": plan.cost_micros,
            "bound_micros": plan.bound_micros,
            "gap": plan.gap,
        },
    }


def again(app: App, wanted: str, order_id: UUID) -> Order:
    """A new order with the wishes of one that failed or was refused. Raises InvalidInput."""
    with app.session() as session:
        row = order_store.find(session, wanted)
    if row.status not in {OrderStatus.FAILED, OrderStatus.REFUSED}:
        msg = f"order {row.id[:8]} of {row.machine_name} is {row.status}; only failed or refused ones are tried again"
        raise InvalidInput(msg)
    old = Order.model_validate_json(row.document)
    return old.model_copy(update={"id": order_id, "ordered_at": app.clock.now()})


def drain(
    app: App, progress: Callable[[int, int], None] | None = None, poll_s: float = 0.1
) -> list[OrderRow]:
    """Wait until no durable work is left; gives back the orders that were open. Needs a running runtime.

    Orders whose work ended with an error, so that nobody works on them any more, are closed as failed.
    """
    with app.session() as session:
        open_ids = [
            row.id
            for row in session.exec(
                select(OrderRow).where(col(OrderRow.status).in_([OrderStatus.ACCEPTED, OrderStatus.PLACED]))
            )
        ]
    _wait_for_work(app, progress, poll_s)
    for order_id, message in _abandoned(app).items():
        with SetWorkflowID(f"abandon:{order_id}"):
            DBOS.start_workflow(workflows.abandon, order_id, message)
    _wait_for_work(app, progress, poll_s)
    with app.session() as session:
        return list(session.exec(select(OrderRow).where(col(OrderRow.id).in_(open_ids))))


def _abandoned(app: App) -> dict[str, str]:
    """The open orders whose work ended with an error: id -> the error."""
    with app.session() as session:
        rows = list(session.exec(select(OrderRow).where(col(OrderRow.status).not_in(FINAL))))
    failed = {
        work.workflow_id: str(work.error) for work in DBOS.list_workflows(status="ERROR", load_input=False)
    }
    found = {}
    for row in rows:
        for work in (f"provision:{row.id}", f"fulfil:{row.batch_id}"):
            if work in failed:
                found[row.id] = failed[work]
    return found


def _wait_for_work(app: App, progress: Callable[[int, int], None] | None, poll_s: float) -> None:
    watch = _Watch(app, poll_s)
    most = 0
    while True:
        left = len(DBOS.list_workflows(status=["PENDING", "ENQUEUED"], load_input=False, load_output=False))
        most = max(most, left)
        if progress is not None:
            progress(most - left, most)
        if not left:
            return
        stopped = current().stopped
        if stopped:
            msg = f"{len(stopped)} pieces of work stopped half-way; `tierwise order resume` tries again"
            raise TierwiseError(msg, details=list(stopped.values()))
        watch.wait(left)
