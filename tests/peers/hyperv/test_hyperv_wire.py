"""Clients that others wrote find our simulator to be WinRM, and it refuses what WinRM refuses."""

import base64
import http.client
import json
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from catalog.pools import TlsPolicy
from connectors import registry
from connectors.contract import Connector
from connectors.drivers.hyperv import dispatcher
from connectors.drivers.hyperv.dispatcher import Command
from connectors.drivers.hyperv.settings import Library
from connectors.errors import Refused, Unreachable
from connectors.simulators import certificates
from connectors.simulators.certificates import make_certificate
from connectors.simulators.hyperv import USER, HypervSimulator
from connectors.simulators.hyperv.soap import NAMESPACES

pytestmark = pytest.mark.counterpart("hyperv-sim")

by_each_client = pytest.mark.parametrize("client", list(Library), indirect=True)

winrm = pytest.importorskip("winrm", reason="the extra hyperv is not installed")


def plain_session(simulator: HypervSimulator, password: str | None = None) -> "winrm.Session":
    """pywinrm as its own documentation uses it."""
    secret = simulator.password.get_secret_value() if password is None else password
    url = f"http://{simulator.address}/wsman"
    # Else it warns that it obeys the environment's certificate variables.
    return winrm.Session(url, auth=(USER, secret), transport="ntlm", ca_trust_path=None)


def test_pywinrm_runs_a_script_and_is_told_that_it_is_not_implemented(simulator: HypervSimulator) -> None:
    said = plain_session(simulator).run_ps("Get-VM")
    assert said.status_code == 1
    assert b"NOT_IMPLEMENTED" in said.std_err
    assert simulator.shells() == 0


def test_pywinrm_is_told_when_a_command_line_is_too_long(simulator: HypervSimulator) -> None:
    said = plain_session(simulator).run_ps("#" * 3100)
    assert (said.status_code, said.std_err) == (1, b"The command line is too long.")


def test_pywinrm_with_a_wrong_password_is_refused(simulator: HypervSimulator) -> None:
    with pytest.raises(winrm.exceptions.InvalidCredentialsError):
        plain_session(simulator, "wrong").run_cmd("ipconfig")


def test_pypsrp_opens_a_shell_and_runs_the_dispatcher_by_spnego(simulator: HypervSimulator) -> None:
    shell = pytest.importorskip("pypsrp.shell", reason="pypsrp is not installed")
    wsman = pytest.importorskip("pypsrp.wsman", reason="pypsrp is not installed")
    host, _, port = simulator.address.partition(":")
    client = wsman.WSMan(
        host,
        port=int(port),
        username=USER,
        password=simulator.password.get_secret_value(),
        ssl=False,
        auth="negotiate",
        encryption="always",
    )
    commands = [Command("Hyper-V\\Get-VMHost", select=("Name",))]
    with client, shell.WinRS(client) as opened:
        process = shell.Process(opened, dispatcher.COMMAND, dispatcher.arguments(), no_shell=True)
        process.begin_invoke()
        process.send(dispatcher.request(commands), end=True)
        process.end_invoke()
        process.signal(shell.SignalCode.TERMINATE)
    ((rows,),) = dispatcher.read_replies([commands], process.stdout, process.stderr, process.rc)
    assert rows == [{"Name": "HV-SIM-1"}]
    assert simulator.shells() == 0


def test_a_message_that_is_not_sealed_is_refused_over_http(simulator: HypervSimulator) -> None:
    session = winrm.protocol.Protocol(
        f"http://{simulator.address}/wsman",
        transport="ntlm",
        username=USER,
        password=simulator.password.get_secret_value(),
        message_encryption="never",
        ca_trust_path=None,
    )
    with pytest.raises(winrm.exceptions.WSManFaultError, match="AllowUnencrypted"):
        session.open_shell()
    session.transport.close_session()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """All that is written to HTTP connections, before TLS."""
    noted: list[bytes] = []
    real_send = http.client.HTTPConnection.send

    def listening(self: http.client.HTTPConnection, data: bytes) -> None:
        noted.append(data)
        real_send(self, data)

    monkeypatch.setattr(http.client.HTTPConnection, "send", listening)
    return noted


@by_each_client
def test_what_crosses_the_wire_holds_neither_script_nor_values(
    simulator: HypervSimulator, sent: list[bytes], connect: Callable[..., Connector]
) -> None:
    connect(simulator).list_vms()
    whole = b"".join(sent)
    assert b"application/HTTP-SPNEGO-session-encrypted" in whole
    for word in (b"Envelope", b"Get-VM", base64.b64encode(b"{"), dispatcher.arguments()[-1].encode()[:40]):
        assert word not in whole


@by_each_client
def test_each_client_asks_for_the_same_shell_and_the_one_fixed_command(
    tmp_path: Path, sent: list[bytes], connect: Callable[..., Connector]
) -> None:
    if reason := certificates.missing():
        pytest.skip(reason)
    with HypervSimulator(certificate=make_certificate(tmp_path, "127.0.0.1")) as simulator:
        connect(simulator).list_vms()
    envelopes = [ET.fromstring(data) for data in sent if b":Envelope" in data]
    options = {}
    for envelope in envelopes:
        action = envelope.findtext("s:Header/a:Action", "", NAMESPACES).rpartition("/")[2]
        found = envelope.findall("s:Header/w:OptionSet/w:Option", NAMESPACES)
        options[action] = {one.get("Name"): (one.text or "").upper() for one in found}
    assert options["Create"] == {"WINRS_NOPROFILE": "TRUE", "WINRS_CODEPAGE": "65001"}
    assert options["Command"] == {"WINRS_CONSOLEMODE_STDIN": "FALSE", "WINRS_SKIP_CMD_SHELL": "TRUE"}
    lines = [line for one in envelopes for line in one.iterfind("s:Body/rsp:CommandLine", NAMESPACES)]
    fixed = [dispatcher.COMMAND, " ".join(dispatcher.arguments())]
    assert [[part.text for part in line] for line in lines] == [fixed] * len(lines)
    assert lines


@pytest.mark.parametrize(
    ("commands", "error_id"),
    [
        ([{"name": "Hyper-V\\Export-VM"}], "not allowed: Hyper-V\\Export-VM"),
        ([{"name": "Hyper-V\\Get-VM", "params": {"Idd": "x"}}], "NOT_IMPLEMENTED"),
        ([{"name": "Hyper-V\\Get-VM", "params": {"Name": "web-1"}}], "NOT_IMPLEMENTED"),
        ([{"name": "Hyper-V\\Get-VM", "select": ["Frobs"]}], "NOT_IMPLEMENTED"),
        ([{"name": "Hyper-V\\Start-VM"}], "MissingMandatoryParameter,"),
        ([{"name": "Hyper-V\\Get-VM", "params": {"Id": "no-guid"}}], "CannotConvertArgumentNoMessage,"),
        ([{"name": "Hyper-V\\Get-VM", "params": {"Id": str(uuid.uuid4())}}], "InvalidParameter,"),
        ([{"name": "Hyper-V\\New-VM", "params": {"Generation": 3}}], "ParameterArgumentValidationError,"),
        (
            [{"name": "Hyper-V\\New-VM", "params": {"NewVHDPath": "C:\\a", "NoVHD": True}}],
            "AmbiguousParameterSet,",
        ),
        (
            [{"name": "Read-Chunk", "params": {"Path": "C:\\a.vhdx", "At": 0, "Count": 9}}],
            "not allowed: Read-Chunk C:\\a.vhdx",
        ),
        (
            [
                {
                    "name": "Hyper-V\\Convert-VHD",
                    "params": {
                        "Path": f"C:\\tierwise-{uuid.UUID(int=0)}-00000000\\disks\\disk.vhdx",
                        "DestinationPath": "C:\\a.vhdx",
                    },
                }
            ],
            "not allowed: Hyper-V\\Convert-VHD ",
        ),
        (
            [{"name": "Microsoft.PowerShell.Management\\Remove-Item", "params": {"Path": "C:\\*"}}],
            "not allowed: Microsoft.PowerShell.Management\\Remove-Item C:\\*",
        ),
    ],
)
def test_a_call_that_windows_would_not_take_fails_and_nothing_succeeds_by_chance(
    commands: list[dict[str, object]], error_id: str, simulator: HypervSimulator
) -> None:
    simulator.plant("web-1")
    filled = [{"params": {}, "select": ["Name"], "optional": False} | one for one in commands]
    protocol = plain_session(simulator).protocol
    shell_id = protocol.open_shell()
    command_id = protocol.run_command(
        shell_id, dispatcher.COMMAND, dispatcher.arguments(), skip_cmd_shell=True
    )
    protocol.send_command_input(shell_id, command_id, json.dumps({"commands": filled}), end=True)
    stdout, _, _ = protocol.get_command_output(shell_id, command_id)
    protocol.close_shell(shell_id)
    reply = json.loads(stdout)
    assert reply["category"]
    assert reply["id"].startswith(error_id)


def test_an_envelope_above_the_hosts_limit_is_answered_as_in_the_field(simulator: HypervSimulator) -> None:
    protocol = plain_session(simulator).protocol
    shell_id = protocol.open_shell()
    with pytest.raises(winrm.exceptions.WinRMTransportError, match="413"):
        protocol.send_command_input(shell_id, "0", "x" * 600_000)
    protocol.transport.close_session()


def test_plain_http_needs_a_written_reason_and_is_never_called_secure(simulator: HypervSimulator) -> None:
    endpoint = simulator.endpoint()
    with registry.connect(endpoint, simulator.password) as connector:
        assert not connector.probe().secure
    unexplained = endpoint.model_copy(update={"tls": TlsPolicy()})
    with pytest.raises(Refused, match="unverified_because"):
        registry.connect(unexplained, simulator.password).open()


@by_each_client
def test_a_verified_certificate_is_secure_and_an_unverified_one_is_not(
    tmp_path: Path, client: Library
) -> None:
    if reason := certificates.missing():
        pytest.skip(reason)
    made = make_certificate(tmp_path, "127.0.0.1")
    with HypervSimulator(certificate=made) as simulator:
        endpoint = simulator.endpoint(options={"client": client})
        with registry.connect(endpoint, simulator.password) as connector:
            assert connector.probe().secure
        other_name = endpoint.address.replace("127.0.0.1", "localhost")
        with pytest.raises(Unreachable, match="not trusted"):
            registry.connect(endpoint.model_copy(update={"address": other_name}), simulator.password).open()
        lax = endpoint.model_copy(update={"tls": TlsPolicy(unverified_because="a test says so")})
        with registry.connect(lax, simulator.password) as connector:
            assert not connector.probe().secure
