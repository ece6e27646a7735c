"""The simulator and the driver use only what XenAPI's published data model has, with its types and arity.

The model is xen-api's own, read from `../shared/data`; these tests skip where it is missing.
"""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.drivers.xen.faults import MEANINGS
from connectors.drivers.xen.gaps import CALLS
from connectors.simulators.xen.dispatch import known
from connectors.simulators.xen.messages import Message
from connectors.simulators.xen.schema import LEFT_OUT, beyond, schema

Model = dict[str, dict[str, Any]]

ACCESS = {"RW": "rw", "RO/constructor": "new", "RO/runtime": "ro"}

XML_RPC_ITSELF = {"system.listMethods"}
"""Not a message of the model; xapi answers it all the same."""

RAISED_BUT_NOT_LISTED = {
    # xapi_vm_lifecycle.ml raises these two, which datamodel_errors.ml does not list.
    "VM_IS_SNAPSHOT": 2,
    "ONLY_REVERT_SNAPSHOT": 0,
    "ONLY_PROVISION_TEMPLATE": 0,
    # Listed without parameters; xapi_session.ml gives user and message.
    "SESSION_AUTHENTICATION_FAILED": 2,
    # export_raw_vdi.ml and import_raw_vdi.ml fail the task with this one.
    "VDI_IO_ERROR": 1,
}


@pytest.fixture(scope="session")
def data(request: pytest.FixtureRequest) -> Path:
    folder = request.config.rootpath.parent / "shared" / "data"
    if not (folder / "xenapi-model.json").exists():
        pytest.skip("the published data model of XenAPI is not beside the repository (../shared/data)")
    return folder


@pytest.fixture(scope="session")
def model(data: Path) -> Model:
    return {found["name"]: found for found in json.loads((data / "xenapi-model.json").read_text())}


@pytest.fixture(scope="session")
def errors(data: Path) -> dict[str, int]:
    listed = json.loads((data / "xapi-errors.json").read_text())
    return {code: len(parameters) for code, parameters in listed.items()} | RAISED_BUT_NOT_LISTED


@pytest.fixture(scope="session")
def signatures(model: Model) -> dict[str, dict[str, Any]]:
    return {f"{name}.{m['name']}": m for name, found in model.items() for m in found["messages"]}


def test_every_field_of_the_simulator_is_the_models(model: Model) -> None:
    published = {
        (name, field["name"]): (field["type"], ACCESS[field["qualifier"]], field.get("default"))
        for name, found in model.items()
        for field in found["fields"]
    }
    ours = {
        (name, field.name): (field.type, field.access, field.default)
        for name, fields in schema().classes.items()
        for field in fields.values()
    }
    assert {key: value for key, value in ours.items() if published.get(key) != value} == {}


def test_every_enum_of_the_simulator_is_the_models(model: Model) -> None:
    published = {
        enum["name"]: {v if isinstance(v, str) else v["name"] for v in enum["values"]}
        for found in model.values()
        for enum in found["enums"] or ()
    }
    assert {name for name, values in schema().enums.items() if published.get(name) != set(values)} == set()


@pytest.mark.parametrize(("name", "count"), [("VM", 25), ("VDI", 6), ("VBD", 10), ("VIF", 8)])
def test_a_constructor_needs_what_xapis_needs(name: str, count: int, model: Model) -> None:
    """The counts are those that xapi's source asks for; the names are the model's."""
    needed = {f.name for f in schema().classes[name].values() if f.access != "ro" and f.default is None}
    published = {
        field["name"]
        for field in model[name]["fields"]
        if ACCESS[field["qualifier"]] != "ro" and field.get("default") is None
    }
    assert (needed, len(needed)) == (published, count)


@pytest.mark.parametrize("name", ["VM", "VDI", "VBD", "VIF"])
def test_what_a_constructor_takes_is_had_by_the_simulator_or_listed_as_left_out(
    name: str, model: Model
) -> None:
    taken = {f["name"]: f for f in model[name]["fields"] if f["qualifier"] == "RO/constructor"}
    left_out = taken.keys() - schema().classes[name].keys() - {"has_vendor_device"}
    listed = LEFT_OUT.get(name, {})
    assert left_out == listed.keys()
    assert {key: kind for key, (kind, _) in listed.items()} == {key: taken[key]["type"] for key in listed}


def test_every_message_of_the_simulator_is_the_models(signatures: dict[str, dict[str, Any]]) -> None:
    wrong = [
        f"{message.name}{message.params}: {published(signatures, message.name)}"
        for message in known().values()
        if message.name not in XML_RPC_ITSELF and published(signatures, message.name) != shape(message)
    ]
    assert wrong == []


def test_what_is_not_implemented_is_all_else_that_the_model_has(
    signatures: dict[str, dict[str, Any]],
) -> None:
    assert beyond() == signatures.keys() - known().keys()


def shape(message: Message) -> tuple[Any, ...]:
    return (message.session, message.params, message.optional)


def published(signatures: dict[str, dict[str, Any]], name: str) -> tuple[Any, ...] | None:
    if name not in signatures:
        return None
    params = signatures[name]["params"]
    session = bool(params) and params[0]["type"] == "session ref"
    rest = params[1:] if session else params
    return session, tuple(p["type"] for p in rest), sum(not p["required"] for p in rest)


def test_what_a_reader_may_call_is_what_xapi_lets_one_call(signatures: dict[str, dict[str, Any]]) -> None:
    wrong = [
        message.name
        for message in known().values()
        if message.name not in XML_RPC_ITSELF
        and message.writes == ("read-only" in signatures[message.name]["roles"])
    ]
    assert wrong == []


def test_no_message_of_the_simulator_was_removed_from_xapi(signatures: dict[str, dict[str, Any]]) -> None:
    removed = [name for name in known() if signatures.get(name, {}).get("state") == "Removed"]
    assert removed == []


def test_every_error_of_the_simulator_is_xapis_with_its_number_of_parameters(
    errors: dict[str, int], request: pytest.FixtureRequest
) -> None:
    raised = list(failures(request.config.rootpath / "connectors/simulators/xen"))
    assert len(raised) > 30
    assert [(code, count) for code, count in raised if errors.get(code) != count] == []


def failures(folder: Path) -> Iterator[tuple[str, int]]:
    """Code and number of parameters of each `Failure("CODE", ...)` in the source."""
    for node in calls(folder):
        if isinstance(node.func, ast.Name) and node.func.id == "Failure":
            code, *parameters = node.args
            if isinstance(code, ast.Constant):
                yield str(code.value), len(parameters)


def calls(folder: Path) -> Iterator[ast.Call]:
    for path in sorted(folder.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield node


def test_every_error_that_the_driver_knows_is_xapis(errors: dict[str, int]) -> None:
    assert set(MEANINGS) - set(errors) == set()


def test_every_call_of_the_driver_is_the_models_with_its_arity(
    signatures: dict[str, dict[str, Any]], request: pytest.FixtureRequest
) -> None:
    made = list(driver_calls(request.config.rootpath / "connectors/drivers/xen"))
    assert len(made) > 30
    wrong = [
        (name, count)
        for name, count in made
        if (found := published(signatures, name)) is None
        or (count is not None and not len(found[1]) - found[2] <= count <= len(found[1]))
    ]
    assert wrong == []


METHOD = re.compile(r"^[A-Za-z_]+\.[A-Za-z_]+$")
CALLERS = {"call": 0, "run": 1, "_once": 1}
"""Functions of the driver that make a call, and how many arguments stand before the method's name."""


def driver_calls(folder: Path) -> Iterator[tuple[str, int | None]]:
    """Each method named in the source, and how many parameters it is given; None where the source does not say."""
    for node in calls(folder):
        function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        before = CALLERS.get(function)
        if before is None or len(node.args) <= before:
            continue
        name, rest = node.args[before], node.args[before + 1 :]
        if isinstance(name, ast.Constant) and METHOD.match(str(name.value)):
            yield str(name.value), None if any(isinstance(a, ast.Starred) for a in rest) else len(rest)


def test_the_role_that_the_driver_asks_for_may_do_all_that_it_says_a_lesser_one_may_not(
    signatures: dict[str, dict[str, Any]],
) -> None:
    calls = {call for needed in CALLS.values() for call in needed}
    assert {call for call in calls if "vm-power-admin" not in signatures[call]["roles"]} == set()
    assert {call for call in calls if "read-only" in signatures[call]["roles"]} == set()


def test_methods_that_the_driver_names_in_tables_are_the_models(
    signatures: dict[str, dict[str, Any]], request: pytest.FixtureRequest
) -> None:
    classes = {name.partition(".")[0] for name in signatures}
    named = {
        node.value
        for path in (request.config.rootpath / "connectors/drivers/xen").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and METHOD.match(node.value)
        and node.value.partition(".")[0] in classes
    }
    assert {"VM.resume", "VM.set_VCPUs_max", "VDI.resize_online"} <= named
    assert named - set(signatures) == set()
