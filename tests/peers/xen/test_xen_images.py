"""How the simulator answers GET and PUT, by requests of our own, and what stands in its images."""

import http.client
import io
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from connectors.drivers.xen import vhd
from connectors.simulators.xen import USER, XenSimulator
from connectors.simulators.xen.content import CHUNK, Content
from connectors.simulators.xen.images import BLOCK, written

XenAPI = pytest.importorskip("XenAPI")


def asked(
    simulator: XenSimulator, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(simulator.address, timeout=10)
    try:
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.fixture
def handle(simulator: XenSimulator) -> Iterator[str]:
    session = XenAPI.Session(f"http://{simulator.address}")
    session.xenapi.login_with_password(USER, simulator.password.get_secret_value(), "1.0", "third")
    yield session.handle
    session.xenapi.session.logout()
    session("close")()


@pytest.mark.counterpart("xen-sim")
def test_what_xapi_refuses_over_http_is_refused_in_its_order(
    simulator: XenSimulator, raw: Any, handle: str
) -> None:
    (sr,) = raw.SR.get_by_name_label("shared")
    record = {
        "name_label": "mine",
        "SR": sr,
        "virtual_size": str(1 << 30),
        "type": "user",
        "other_config": {},
    }
    vdi = raw.VDI.create(record | {"sharable": False, "read_only": False})

    def tried(
        verb: str, path: str, body: bytes = b"", headers: Any = None, **query: str
    ) -> tuple[int, list[str]]:
        task = raw.task.create("mine", "")
        full = {"session_id": handle, "task_id": task, "vdi": vdi, **query}
        status, _ = asked(simulator, verb, f"{path}?{urlencode(full)}", body, **(headers or {}))
        said = list(raw.task.get_error_info(task))
        raw.task.destroy(task)
        return status, said

    wrong = {"session_id": "OpaqueRef:none", "vdi": "none", "format": "vmdk"}
    assert tried("GET", "/export_raw_vdi", **wrong) == (401, ["SESSION_AUTHENTICATION_FAILED"])
    missing = {"vdi": "none", "format": "vmdk"}
    assert tried("GET", "/export_raw_vdi", **missing) == (500, ["UUID_INVALID", "VDI", "none"])
    for verb, path in (("GET", "/export_raw_vdi"), ("PUT", "/import_raw_vdi")):
        assert tried(verb, path, format="qcow2") == (404, ["INTERNAL_ERROR", "Unknown format qcow2"])
    chunked = {"Transfer-Encoding": "chunked"}
    assert tried("PUT", "/import_raw_vdi", headers=chunked)[0] == 403
    assert tried("POST", "/import_raw_vdi")[0] in {500, 501}
    assert tried("GET", "/nothing") == (404, [])
    assert tried("PUT", "/import_raw_vdi", b"no vhd" * 500, format="vhd") == (
        200,
        ["VDI_IO_ERROR", "Device I/O errors"],
    ), "a PUT is answered before its content is read; the task tells the end"


def test_sparse_content_is_what_a_plain_array_would_be() -> None:
    chance = random.Random(1)
    size = 5 * CHUNK + 777
    plain, content = bytearray(size), Content()
    for _ in range(200):
        offset = chance.randrange(size)
        data = chance.choice([bytes(2 * CHUNK), chance.randbytes(chance.randrange(2 * CHUNK))])[
            : size - offset
        ]
        plain[offset : offset + len(data)] = data
        content.write(offset, data)
        begin = chance.randrange(size)
        assert content.read(begin, size - begin) == plain[begin:]
    content.write(0, bytes(size))
    assert content.taken_bytes == 0


@pytest.mark.parametrize("seed", range(8))
def test_a_vhd_expanded_by_the_driver_is_what_stood_on_the_disk(seed: int) -> None:
    """Sectors that a bitmap leaves out read as zeros, whatever bytes stand there."""
    chance = random.Random(seed)
    size = chance.randrange(1, 5 * BLOCK // 512) * 512
    content, plain = Content(), bytearray(size)
    for _ in range(chance.randrange(4)):
        offset = chance.randrange(size)
        data = chance.randbytes(chance.randrange(1, 70_000))[: size - offset]
        content.write(offset, data)
        plain[offset : offset + len(data)] = data
    file = bytearray(b"".join(written("vhd", content, size)))
    source = io.BytesIO(file)
    found = vhd.opened(source)
    for number, sector in enumerate(found.table):
        if sector != 0xFFFFFFFF:
            hidden = chance.randrange(BLOCK // 512)
            file[sector * 512 + hidden // 8] &= ~(0x80 >> hidden % 8)
            at = number * BLOCK + hidden * 512
            plain[at : at + 512] = bytes(len(plain[at : at + 512]))
    again = io.BytesIO(file)
    assert b"".join(vhd.expanded(again, vhd.opened(again))) == plain
