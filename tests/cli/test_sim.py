"""``tierwise sim``: what it prints is enough to reach it, and what it was told happens."""

import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from catalog.pools import Endpoint
from connectors.errors import Refused
from connectors.registry import connect
from tierwise.simulating import Kind, simulating

KINDS = [
    pytest.param("vsphere", marks=pytest.mark.counterpart("vcsim")),
    pytest.param("hyperv", marks=pytest.mark.counterpart("hyperv-sim")),
    pytest.param("xen", marks=pytest.mark.counterpart("xen-sim")),
]

Start = Callable[..., tuple[Endpoint, SecretStr, "subprocess.Popen[str]"]]


@pytest.fixture
def start(real: Any) -> Iterator[Start]:
    """Starts the installed command, and reads the endpoint that it prints."""
    with ExitStack() as running:

        @contextmanager
        def process(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
            with subprocess.Popen(
                [str(real.command), "sim", *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=real.environment(),
                start_new_session=True,
            ) as started:
                try:
                    yield started
                finally:
                    started.kill()

        def one(*arguments: str) -> tuple[Endpoint, SecretStr, "subprocess.Popen[str]"]:
            started = running.enter_context(process(*arguments))
            assert started.stderr is not None
            assert started.stdout is not None
            said = started.stderr.readline()
            assert "Ctrl-C" in said, said + started.stderr.read()
            os.set_blocking(started.stdout.fileno(), False)
            document = yaml.safe_load(started.stdout.read())
            ((name, fields),) = document["endpoints"].items()
            secret = Path(fields["secret"].removeprefix("file:"))
            assert stat.S_IMODE(secret.stat().st_mode) == 0o600
            return Endpoint(name=name, **fields), SecretStr(secret.read_text()), started

        yield one


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_printed_is_an_endpoint_that_the_driver_opens(start: Start, kind: str) -> None:
    endpoint, password, process = start(kind, "--name", "mine")
    assert (endpoint.name, endpoint.driver) == ("mine", kind)
    with connect(endpoint, password) as connector:
        assert connector.probe().pools
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert not Path(str(endpoint.secret).removeprefix("file:")).exists()


@pytest.mark.parametrize("kind", KINDS)
def test_ctrl_c_of_a_terminal_ends_it_without_a_traceback(start: Start, kind: str) -> None:
    _, _, process = start(kind)
    os.killpg(process.pid, signal.SIGINT)
    assert (process.wait(30), process.stderr and process.stderr.read()) == (0, "stopped\n")


@pytest.mark.parametrize("kind", KINDS)
def test_a_simulator_that_dies_is_told(start: Start, kind: str) -> None:
    _, _, process = start(kind)
    (children,) = Path(f"/proc/{process.pid}/task").glob(f"{process.pid}/children")
    (child,) = children.read_text().split()
    os.kill(int(child), signal.SIGKILL)
    assert process.wait(30) == 1
    assert process.stderr is not None
    assert process.stderr.read().startswith("error: the simulator ended by itself")


@pytest.mark.parametrize(
    ("kind", "fact", "hosts"),
    [
        pytest.param("vsphere", "hosts=5", 5, marks=pytest.mark.counterpart("vcsim")),
        pytest.param("xen", "hosts=4", 4, marks=pytest.mark.counterpart("xen-sim")),
    ],
)
def test_facts_of_the_estate_are_what_was_set(start: Start, kind: str, fact: str, hosts: int) -> None:
    endpoint, password, _ = start(kind, "--set", fact)
    with connect(endpoint, password) as connector:
        assert len(connector.probe().pools[0].hosts) == hosts


@pytest.mark.counterpart("hyperv-sim")
def test_facts_that_are_lists_and_mappings_are_set_as_they_are_listed(tmp_path: Path) -> None:
    given = {"cluster": "C1", "nodes": "B,C", "volumes": r"E:\=500,F:\=10"}
    with (
        simulating(Kind.HYPERV, given, cache_dir=tmp_path) as simulator,
        connect(simulator.endpoint("hyperv"), simulator.password) as connector,
    ):
        (pool,) = connector.probe().pools
    assert [host.name for host in pool.hosts] == ["B", "C", "HV-SIM-1"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_port_that_is_taken_is_told_in_a_line(tierwise: Any, kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = tierwise("sim", kind, "--port", str(port), code=1).err.splitlines()
    assert said == [
        f"error: port {port} of 127.0.0.1 cannot be used: Address already in use; name another, or 0 for a free one"
    ]


@pytest.mark.counterpart("xen-sim")
def test_rules_from_a_file_make_calls_go_wrong(start: Start, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "- {method: session.login_with_password, action: fail, code: SESSION_AUTHENTICATION_FAILED,\n"
        "   parameters: [root, nobody]}\n"
    )
    endpoint, password, _ = start("xen", "--rules", str(rules))
    with pytest.raises(Refused, match="SESSION_AUTHENTICATION_FAILED"), connect(endpoint, password):
        pass


@pytest.mark.counterpart("vcsim")
def test_a_fault_that_vsphere_does_not_have_is_refused(tierwise: Any, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("- {method: PowerOnVM_Task, action: fault, fault: NoSuchFault}\n")
    said = tierwise("sim", "vsphere", "--rules", str(rules), code=3).err
    assert "no such fault: NoSuchFault" in said


@pytest.mark.parametrize(
    ("kind", "rule", "said"),
    [
        pytest.param(
            "vsphere",
            "{method: PowerOnVMTask, action: delay}",
            "there is no method 'PowerOnVMTask'; did you mean 'PowerOnVM_Task'?",
            marks=pytest.mark.counterpart("vcsim"),
        ),
        pytest.param(
            "xen",
            "{method: VM.startt, action: delay}",
            "there is no method 'VM.startt'; did you mean 'VM.start'?",
            marks=pytest.mark.counterpart("xen-sim"),
        ),
        pytest.param(
            "hyperv",
            "{method: New-Vm, action: error, error_id: InvalidState}",
            "there is no operation or cmdlet 'New-Vm'; did you mean 'New-VM'?",
            marks=pytest.mark.counterpart("hyperv-sim"),
        ),
        pytest.param(
            "hyperv",
            "{method: New-VM, action: fault, code: 2150858843}",
            "there is no operation or cmdlet 'New-VM'; known are",
            marks=pytest.mark.counterpart("hyperv-sim"),
        ),
        ("xen", "{method: VM.start, action: fail}", "'fail' needs a 'code'"),
        ("hyperv", "{method: New-VM, action: error}", "'error' needs an 'error_id'"),
        ("hyperv", "{method: Create, action: fault}", "'fault' needs a 'code'"),
    ],
)
def test_a_rule_for_what_there_is_not_or_that_names_no_error_is_refused(
    tierwise: Any, tmp_path: Path, kind: str, rule: str, said: str
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(f"- {rule}\n")
    assert said in tierwise("sim", kind, "--rules", str(rules), code=3).err


@pytest.mark.parametrize("kind", KINDS)
def test_rules_for_every_kind_of_call_are_taken(kind: str, tmp_path: Path) -> None:
    calls = {
        "vsphere": [
            "*",
            "PowerOnVM_Task",
            "PbmQueryProfile",
            "MigrateVM_Task",
            "GET /nfc",
            "FindAllByUuid",
        ],
        "xen": ["*", "VM.start", "Async.VM.start", "VM.snapshot_with_quiesce", "GET /rrd_updates"],
        "hyperv": ["Create", "Signal", "New-VM", "Get-VHD", "Write-Chunk", "Get-CimInstance"],
    }[kind]
    rules = [{"method": call, "action": "delay"} for call in calls]
    with simulating(Kind(kind), {}, rules=rules, cache_dir=tmp_path) as simulator:
        assert simulator.endpoint("sim").driver == kind


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 20_000, "not readable as YAML: nested deeper than 40 levels"),
        ("rules: []", "rules.yaml must hold a list of rules"),
    ],
)
def test_a_file_that_holds_no_list_of_rules_is_refused(
    tierwise: Any, tmp_path: Path, text: str, why: str
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(text)
    assert why in tierwise("sim", "xen", "--rules", rules, code=3).err


@pytest.mark.counterpart("xen-sim")
def test_a_terminated_simulator_ends_and_takes_its_child_along(start: Start) -> None:
    endpoint, password, process = start("xen")
    process.terminate()
    assert process.wait(30) == 0
    for _ in range(100):
        try:
            with connect(endpoint, password):
                pass
        except Exception:  # noqa: BLE001 -- any kind of "not there"
            return
        time.sleep(0.1)
    pytest.fail("the simulator still answers")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["vmware"], 2, "'vmware' is none of vsphere, hyperv, xen"),
        (["xen", "--set", "hosts"], 2, "is not NAME=VALUE"),
        (["xen", "--set", "hots=3"], 3, "has no hots; there are: pool, hosts,"),
        (["xen", "--set", "hosts=none"], 3, "hosts: Input should be a valid integer"),
        (["xen", "--rules", "/no/such/file"], 3, "/no/such/file: cannot be read"),
        (["hyperv", "--task-delay-ms", "5"], 3, "no tasks to delay"),
    ],
)
def test_wrong_words_are_told_with_what_would_be_right(
    tierwise: Any, arguments: list[str], code: int, said: str
) -> None:
    assert said in " ".join(tierwise("sim", *arguments, code=code).err.split())


def test_the_facts_that_can_be_set_are_listed_with_their_defaults(tierwise: Any) -> None:
    listed = tierwise("sim", "xen", "--facts").out.splitlines()
    assert "hosts=2" in listed
    assert any(line.startswith("sr_gib=1024  # Size of the shared SR") for line in listed)
    listed = tierwise("sim", "hyperv", "--facts").out.splitlines()
    assert "switches=External" in listed
    assert any(line.startswith("volumes=  # Size in GiB") for line in listed)
