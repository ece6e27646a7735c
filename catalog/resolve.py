"""An order -> the request it means: its offering's defaults, limits and choices applied."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from catalog.catalog import Catalog
from catalog.offerings import DATA, Offering
from catalog.orders import Order, ParameterValue, Request
from catalog.resources import ResourceClass, Resources
from catalog.wording import known_names, shown
from catalog.workload_classes import DataClassification, WorkloadClass


@dataclass(frozen=True, order=True)
class OrderProblem:
    """One mistake in an order: which field, what it is (shortened), and what is allowed."""

    field: str
    value: str
    message: str

    def __str__(self) -> str:
        found = f" (found {self.value})" if self.value else ""
        return f"{self.field}: {self.message}{found}"


class OrderInvalid(ValueError):
    """An order does not fit the catalog; all reasons are in `problems`."""

    def __init__(self, problems: Iterable[OrderProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(p) for p in self.problems))

    def __reduce__(self) -> tuple[type["OrderInvalid"], tuple[tuple[OrderProblem, ...]]]:
        return type(self), (self.problems,)


def resolve(catalog: Catalog, order: Order) -> Request:
    """The request that an order means. Raises OrderInvalid with every problem.

    `parameters` of the request are those that set neither an amount nor the data classification.
    The lease starts when the order was made, and ends after so many times 24 hours, in UTC.
    """
    offering = catalog.offerings.get(order.offering)
    problems = [
        *_unknown("offering", order.offering, catalog.offerings),
        *_unknown("tenant", order.tenant, catalog.tenants),
        *_unknown("tier", order.tier, catalog.tiers),
        *(_refused(offering, order.parameters) if offering else ()),
    ]
    if problems or offering is None:
        raise OrderInvalid(problems)
    workload_class = catalog.classes[offering.workload_class]
    values = {name: order.parameters.get(name, p.default) for name, p in offering.parameters.items()}
    return Request(
        order_id=order.id,
        machine_name=order.machine_name,
        tenant=order.tenant,
        offering=order.offering,
        workload_class=workload_class.name,
        resources=_resources(workload_class, offering, values),
        data_classification=DataClassification(str(values.get(DATA, workload_class.data_classification))),
        tier=order.tier,
        parameters={n: v for n, v in values.items() if n != DATA and n not in set(ResourceClass)},
        expires_at=_expiry(order.ordered_at, workload_class.lease_days),
        seed=order.seed,
    )


def _unknown(field: str, name: str | None, known: Mapping[str, object]) -> Iterator[OrderProblem]:
    if name is not None and name not in known:
        message = f"there is no {field} of that name; {known_names(name, known)}"
        yield OrderProblem(field, shown(name), message)


def _refused(offering: Offering, values: Mapping[str, ParameterValue]) -> Iterator[OrderProblem]:
    for name, value in values.items():
        field = f"parameters.{name}"
        parameter = offering.parameters.get(name)
        if parameter is None:
            message = (
                f"'{offering.name}' has no parameter of that name; {known_names(name, offering.parameters)}"
            )
            yield OrderProblem(field, shown(value, (name,)), message)
        elif wanted := parameter.wanted(value):
            yield OrderProblem(field, shown(value, (name,)), f"must be {wanted}")


def _resources(
    workload_class: WorkloadClass, offering: Offering, values: Mapping[str, ParameterValue]
) -> Resources:
    amounts = dict(workload_class.sizes[offering.size].as_mapping())
    return Resources.from_mapping({rc: int(values.get(rc.value, n)) for rc, n in amounts.items()})


def _expiry(ordered_at: datetime, lease_days: int | None) -> datetime | None:
    # In UTC, because adding days in a zone with clock changes is not always so many hours.
    return None if lease_days is None else ordered_at.astimezone(UTC) + timedelta(days=lease_days)
