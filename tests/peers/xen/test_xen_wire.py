"""The simulator speaks as xapi does: seen by the vendor's binding, and byte by byte."""

import http.client
import json
from typing import Any

import pytest

from connectors.simulators.xen import READER, USER, Rule, XenSimulator

pytestmark = pytest.mark.counterpart("xen-sim")

XenAPI = pytest.importorskip("XenAPI")

LOGIN = (
    "<?xml version='1.0'?><methodCall><methodName>session.login_with_password</methodName><params>"
    "<param><value>{}</value></param><param><value><string>{}</string></value></param></params></methodCall>"
)


def post(simulator: XenSimulator, path: str, body: str) -> tuple[int, str, str]:
    """Status, type and text of an answer."""
    connection = http.client.HTTPConnection(simulator.address, timeout=10)
    try:
        connection.request("POST", path, body)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read().decode()
    finally:
        connection.close()


def failure(call: Any, *arguments: Any) -> list[str]:
    with pytest.raises(XenAPI.Failure) as caught:
        call(*arguments)
    return list(caught.value.details)


def template(raw: Any) -> str:
    (ref,) = raw.VM.get_by_name_label("Other install media")
    return str(ref)


def machine(raw: Any) -> str:
    """A machine made of the template, by the vendor's usual two steps."""
    ref = str(raw.VM.clone(template(raw), "by hand"))
    raw.VM.provision(ref)
    return ref


def test_an_answer_has_no_white_space_and_bare_strings(simulator: XenSimulator) -> None:
    status, kind, text = post(simulator, "/", LOGIN.format(USER, simulator.password.get_secret_value()))
    assert (status, kind) == (200, "text/xml")
    before = (
        "<methodResponse><params><param><value><struct><member><name>Status</name><value>Success</value>"
    )
    assert before in text
    assert "<member><name>Value</name><value>OpaqueRef:" in text
    assert "\n" not in text


def test_a_failure_is_an_answer_with_its_code_and_parameters(simulator: XenSimulator) -> None:
    _, _, text = post(simulator, "/RPC2", LOGIN.format(USER, "wrong"))
    assert "<name>Status</name><value>Failure</value>" in text
    assert "<array><data><value>SESSION_AUTHENTICATION_FAILED</value>" in text
    assert "wrong" not in text


def test_what_is_no_xml_ends_in_a_server_error(simulator: XenSimulator) -> None:
    assert post(simulator, "/", "<methodCall><oops>")[0] == 500


def test_json_has_numbers_and_its_own_shape_of_errors(simulator: XenSimulator, raw: Any) -> None:
    login = {"jsonrpc": "2.0", "id": 1, "method": "session.login_with_password"}
    login["params"] = [USER, simulator.password.get_secret_value()]
    status, kind, text = post(simulator, "/jsonrpc", json.dumps(login))
    assert (status, kind) == (200, "application/json")
    ask = {"jsonrpc": "2.0", "id": 2, "method": "VM.get_VCPUs_max"}
    ask["params"] = [json.loads(text)["result"], template(raw)]
    assert json.loads(post(simulator, "/jsonrpc", json.dumps(ask))[2]) == {
        "jsonrpc": "2.0",
        "result": 1,
        "id": 2,
    }
    wrong = ask | {"params": ["OpaqueRef:none", template(raw)]}
    assert json.loads(post(simulator, "/jsonrpc", json.dumps(wrong))[2])["error"] == {
        "code": 1,
        "message": "SESSION_INVALID",
        "data": ["OpaqueRef:none"],
    }


def test_integers_reach_xml_clients_as_strings(raw: Any) -> None:
    assert raw.VM.get_memory_static_max(template(raw)) == "268435456"


def test_a_call_is_checked_in_xapis_order(simulator: XenSimulator) -> None:
    proxy = XenAPI.Session(f"http://{simulator.address}")
    try:
        unknown = getattr(proxy, "VM.frobnicate")("no session")
        assert unknown["ErrorDescription"] == ["MESSAGE_METHOD_UNKNOWN", "VM.frobnicate"]
        few = getattr(proxy, "VM.start")("no session", "OpaqueRef:x")
        assert few["ErrorDescription"] == ["MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.start", "3", "1"]
        mistyped = getattr(proxy, "VM.start")("no session", "OpaqueRef:x", "no", "bools")
        assert mistyped["ErrorDescription"][0] == "FIELD_TYPE_ERROR"
        foreign = getattr(proxy, "VM.start")("no session", "OpaqueRef:x", False, False)
        assert foreign["ErrorDescription"] == ["SESSION_INVALID", "no session"]
    finally:
        proxy("close")()


def test_a_reader_may_look_and_not_touch(simulator: XenSimulator, raw: Any) -> None:
    reader = XenAPI.Session(f"http://{simulator.address}")
    try:
        reader.xenapi.login_with_password(READER, simulator.password.get_secret_value())
        ref = template(reader.xenapi)
        said = ["RBAC_PERMISSION_DENIED", "vm.clone", "No permission in user session"]
        assert failure(reader.xenapi.VM.clone, ref, "mine") == said
        assert failure(reader.xenapi.VM.clone, "OpaqueRef:none", "mine") == said, (
            "the role goes before the body"
        )
    finally:
        reader("close")()


def test_a_message_that_xapi_does_not_run_as_a_task_is_unknown_as_one(raw: Any) -> None:
    assert failure(raw.Async.VM.get_record, template(raw)) == [
        "MESSAGE_METHOD_UNKNOWN",
        "Async.VM.get_record",
    ]


@pytest.mark.parametrize(
    "method",
    [
        "VM.get_boot_record",
        "VM.get_NVRAM",
        "VGPU.get_uuid",
        "pool.enable_tls_verification",
        "Async.host.bugreport_upload",
    ],
)
def test_what_xapi_can_do_and_the_simulator_cannot_is_said_to_be_so(raw: Any, method: str) -> None:
    call = raw
    for name in method.split("."):
        call = getattr(call, name)
    assert failure(call, template(raw)) == ["NOT_IMPLEMENTED", method]


def test_a_state_that_forbids_is_told_in_xapis_words(raw: Any) -> None:
    ref = machine(raw)
    assert failure(raw.VM.clean_shutdown, ref) == ["VM_BAD_POWER_STATE", ref, "running", "halted"]
    raw.VM.start(ref, False, False)
    expected = ["VM_BAD_POWER_STATE", ref, "halted, suspended", "running"]
    assert failure(raw.VM.destroy, ref) == expected
    assert failure(raw.VM.start, template(raw), False, False)[0] == "VM_IS_TEMPLATE"


def test_only_a_machine_that_is_halted_becomes_a_template(raw: Any) -> None:
    vm = raw.VM.clone(template(raw), "one")
    raw.VM.provision(vm)
    assert "make_into_template" in raw.VM.get_allowed_operations(vm)
    raw.VM.start(vm, False, False)
    assert "make_into_template" not in raw.VM.get_allowed_operations(vm)
    said = failure(raw.VM.set_is_a_template, vm, True)
    assert said == ["VM_BAD_POWER_STATE", vm, "halted", "running"]
    assert raw.VM.get_is_a_template(vm) is False
    raw.VM.hard_shutdown(vm)
    raw.VM.set_is_a_template(vm, True)
    assert failure(raw.VM.set_is_a_template, vm, True)[0] == "VM_IS_TEMPLATE"
    raw.VM.set_is_a_template(vm, False)
    assert raw.VM.get_is_a_template(vm) is False


def test_a_card_of_no_address_is_refused(raw: Any) -> None:
    vm, network = raw.VM.clone(template(raw), "one"), raw.network.get_all()[0]
    card = {"VM": vm, "network": network, "device": "7", "MTU": "1500", "other_config": {}}
    card |= {"qos_algorithm_type": "", "qos_algorithm_params": {}}
    assert failure(raw.VIF.create, {**card, "MAC": "zz"}) == ["MAC_INVALID", "zz"]
    made = raw.VIF.create({**card, "MAC": "02:00:5e:00:00:01"})
    assert raw.VIF.get_MAC(made) == "02:00:5e:00:00:01"


def test_vcpus_and_memory_must_be_set_in_order(raw: Any) -> None:
    ref = machine(raw)
    assert failure(raw.VM.set_VCPUs_at_startup, ref, "2")[:3] == [
        "VALUE_NOT_SUPPORTED",
        "VCPUs_at_startup",
        "2",
    ]
    raw.VM.set_VCPUs_max(ref, "2")
    raw.VM.set_VCPUs_at_startup(ref, "2")
    assert failure(raw.VM.set_VCPUs_max, ref, "1")[:2] == ["VALUE_NOT_SUPPORTED", "VCPUs_max"]
    limits = ["100", "400", "300", "200"]
    assert failure(raw.VM.set_memory_limits, ref, *limits)[0] == "MEMORY_CONSTRAINT_VIOLATION"


def test_a_key_of_a_map_is_written_once(raw: Any) -> None:
    ref = machine(raw)
    raw.VM.add_to_other_config(ref, "colour", "red")
    uuid = raw.VM.get_uuid(ref)
    duplicate = ["MAP_DUPLICATE_KEY", "VM", "other_config", uuid, "colour"]
    assert failure(raw.VM.add_to_other_config, ref, "colour", "blue") == duplicate
    assert raw.VM.get_other_config(ref)["colour"] == "red"


def test_a_task_keeps_its_result_until_it_is_destroyed(simulator: XenSimulator, raw: Any) -> None:
    task = raw.Async.VM.clone(template(raw), "by a task")
    events = getattr(raw.event, "from")
    token = ""
    while raw.task.get_status(task) == "pending":
        token = events([f"task/{task}"], token, 5.0)["token"]
    result = raw.task.get_result(task)
    assert raw.VM.get_name_label(result.removeprefix("<value>").removesuffix("</value>")) == "by a task"
    assert simulator.counts(["task"]) == {"task": 1}
    raw.task.destroy(task)
    assert failure(raw.task.get_status, task) == ["HANDLE_INVALID", "task", task]


def test_events_tell_what_was_added_changed_and_deleted_since_a_token(raw: Any) -> None:
    events = getattr(raw.event, "from")
    before = events(["vm"], "", 0.0)
    assert {event["operation"] for event in before["events"]} == {"add"}
    ref = machine(raw)
    raw.VM.set_name_label(ref, "first")
    raw.VM.set_name_label(ref, "second")
    (added,) = (e for e in events(["VM"], before["token"], 0.0)["events"] if e["ref"] == ref)
    assert (added["operation"], added["class"]) == ("add", "vm")
    assert added["snapshot"]["name_label"] == "second", "states between two looks are not seen"
    after = events(["*"], "", 0.0)["token"]
    raw.VM.destroy(ref)
    gone = [event for event in events(["vm"], after, 0.0)["events"] if event["ref"] == ref]
    assert [(event["operation"], "snapshot" in event) for event in gone] == [("del", False)]
    since = events(["vm"], before["token"], 0.0)["events"]
    assert ref not in {event["ref"] for event in since}, "made and gone between two looks"


def test_an_injected_event_is_a_barrier(raw: Any) -> None:
    (pool,) = raw.pool.get_all()
    token = raw.event.inject("pool", pool)
    assert failure(getattr(raw.event, "from"), ["vm"], "yesterday", 0.0) == [
        "EVENT_FROM_TOKEN_PARSE_FAILURE",
        "yesterday",
    ]
    assert getattr(raw.event, "from")(["pool"], "", 0.0)["token"] >= token


def test_a_disk_larger_than_the_space_left_is_refused(raw: Any) -> None:
    (sr,) = raw.SR.get_by_name_label("shared")
    disk = {
        "name_label": "too large",
        "SR": sr,
        "virtual_size": str(2**50),
        "type": "user",
        "sharable": False,
        "read_only": False,
        "other_config": {},
    }
    assert failure(raw.VDI.create, disk) == ["SR_FULL", str(2**50), str(1024 * 2**30)]
    assert failure(raw.VDI.create, {**disk, "virtual_size": "-1"})[0] == "NOT_IMPLEMENTED"
    del disk["SR"]
    assert failure(raw.VDI.create, disk) == ["FIELD_TYPE_ERROR", "SR"]


def test_a_slave_names_its_master(start: Any) -> None:
    simulator = start(host="127.0.0.2", slaves=["127.0.0.3"])
    port = simulator.address.partition(":")[2]
    session = XenAPI.Session(f"http://127.0.0.3:{port}")
    try:
        assert failure(session.xenapi.login_with_password, "any", "thing") == ["HOST_IS_SLAVE", "127.0.0.2"]
    finally:
        session("close")()


def test_a_rule_makes_a_call_fail_as_often_as_it_says(simulator: XenSimulator, raw: Any) -> None:
    simulator.rules(Rule(method="VM.get_all", action="fail", code="HOST_STILL_BOOTING", skip=1, times=1))
    assert raw.VM.get_all()
    assert failure(raw.VM.get_all) == ["HOST_STILL_BOOTING"]
    assert raw.VM.get_all()
    assert simulator.calls()["VM.get_all"] == 2, "a call that a rule answers is not carried out"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("NVRAM", {"EFI-variables": "x"}),
        ("start_delay", "30"),
        ("order", "1"),
        ("appliance", "OpaqueRef:some"),
    ],
)
def test_a_machine_is_not_made_with_what_the_simulator_does_not_have(
    raw: Any, field: str, value: Any
) -> None:
    record = raw.VM.get_record(template(raw))
    before = raw.VM.get_all()
    assert failure(raw.VM.create, {**record, field: value}) == ["NOT_IMPLEMENTED", f"VM.{field}"]
    assert raw.VM.get_all() == before


def test_a_field_that_asks_for_nothing_stops_no_machine(raw: Any) -> None:
    nothing = {
        "NVRAM": {},
        "start_delay": "0",
        "order": "0",
        "appliance": "OpaqueRef:NULL",
        "generation_id": "",
    }
    made = raw.VM.create({**raw.VM.get_record(template(raw)), **nothing, "has_vendor_device": False})
    assert raw.VM.get_power_state(made) == "Halted"
