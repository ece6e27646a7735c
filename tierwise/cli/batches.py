"""Batch order files: a YAML list of orders, read with every mistake reported at once."""

from pathlib import Path
from uuid import UUID, uuid5

from pydantic import Field

from catalog.base import Name, Value
from catalog.documents import DocumentError, Located, Problem, checked, read
from catalog.orders import Order, ParameterValue
from catalog.wording import counted
from tierwise.app import App
from tierwise.documents import read_text
from tierwise.errors import InvalidInput
from tierwise.usecases.order import new_order, resolved

_NAMESPACE = UUID("6f0f2b3e-6a53-4c58-9a37-5d2a4f0a7a11")


class Item(Value):
    """One order of a batch file."""

    offering: Name
    tenant: Name
    name: Name
    set: dict[str, ParameterValue] = Field(default_factory=dict)
    tier: Name | None = None
    seed: Name | None = None

    def __hash__(self) -> int:
        return hash(self.name)


def read_batch(app: App, file: Path, ordered_by: str) -> list[Order]:
    """The orders of a file. Raises InvalidInput with every problem, file, line and column.

    An order's id follows from the file's text and its place in it, so reading a file again after an
    interruption names the same orders, and nothing is ordered twice.
    """
    if file.is_dir():
        msg = f"{file} is a folder; name one file of orders, as in `tierwise order batch orders.yaml`"
        raise InvalidInput(msg)
    name, text = str(file), read_text(file)
    try:
        document = read(text, name)
        problems: list[Problem] = []
        items = _items(document.tree.get("orders"), problems, document)
        orders: list[Order] = []
        for index, item in enumerate(items):
            if item is None:
                continue
            order = new_order(
                app,
                order_id=uuid5(_NAMESPACE, f"{index}\n{text}"),
                offering=item.offering,
                tenant=item.tenant,
                machine_name=item.name,
                parameters=item.set,
                tier=item.tier,
                seed=item.seed,
                ordered_by=ordered_by,
            )
            try:
                resolved(app, order)
            except InvalidInput as error:
                problems += [document.problem(("orders", index), detail) for detail in error.details]
            orders.append(order)
    except DocumentError as error:
        problems = list(error.problems)
    if problems:
        msg = f"{file}: {counted(len(problems), 'problem')}; nothing was ordered"
        raise InvalidInput(msg, details=[str(p) for p in sorted(problems)])
    return orders


def _items(content: object, problems: list[Problem], document: Located) -> list[Item | None]:

    if not isinstance(content, list) or not content:
        problems.append(document.problem(("orders",), "must be a list of at least one order", content))
        return []
    return [
        checked(document, ("orders", index), Item, body, problems) for index, body in enumerate(content)
    ]
