"""Huawei's data set for topology-aware placement, as a problem: parsed with the standard library alone.

The data set's page says nothing of what its strategies mean. This is what they are taken for:

- ``affinity`` (collocation): all of a group in one rack. Not on one host: in each sequence, more than 400 requests are
  of groups that no host could hold, and the topology has nothing between host and rack.
- ``anti-affinity``: all of a group on different hosts.
- ``fault_domain``: of one group, requests of different domains never share a rack, so that one rack that fails takes
  at most one of the group's domains (as placement groups with partitions are understood elsewhere).
- ``numa`` 1: all of it on one of the two nodes; 2: half of it on each.
- A group's number means nothing across strategies: the same numbers are used by all of them.
- Server n of the resource list is ``host-n`` of the topology, whose hosts are numbered through the racks.
"""

import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np

from placement.arrays import Int64
from placement.constraint import Constraint
from placement.problem import PlacementProblem
from placement.providers import Hosts

FOLDER = Path(__file__).parents[2] / ".." / "shared" / "data" / "huawei-topology"
_SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@dataclass(frozen=True, eq=False)
class Sequence:
    """One sequence of requests on the servers; groups are numbered within their strategy, -1 for none."""

    nodes_free: Int64
    """[V, 2, 2] vCPU and GiB of each NUMA node."""
    rack: Int64
    """[V]."""
    demand: Int64
    """[R, 2] vCPU and GiB."""
    nodes: Int64
    """[R] 1 or 2."""
    affinity: Int64
    anti: Int64
    fault: Int64
    domain: Int64
    """[R] of `fault` groups, 0 to 2; -1 for none."""


def read(name: str) -> Sequence:
    """``C1``, ``C2`` or ``C3``."""
    servers = np.array(
        [[int(row[c]) for c in "ABCD"] for row in list(_rows(FOLDER / "PM_res.xlsx"))[1:]], dtype=np.int64
    )
    rows = list(_rows(FOLDER / f"VM_data_{name}.xlsx"))[1:]
    groups = {
        strategy: np.array(
            [int(row["E"]) if row.get("D") == strategy else -1 for row in rows], dtype=np.int64
        )
        for strategy in ("affinity", "anti-affinity", "fault_domain")
    }
    return Sequence(
        nodes_free=servers.reshape(-1, 2, 2),
        rack=np.array(racks(FOLDER / "topology_provider.xls")[: len(servers)], dtype=np.int64),
        demand=np.array([[int(row["A"]), int(row["B"])] for row in rows], dtype=np.int64),
        nodes=np.array([int(row["C"]) for row in rows], dtype=np.int64),
        affinity=groups["affinity"],
        anti=groups["anti-affinity"],
        fault=groups["fault_domain"],
        domain=np.array([int(row.get("F", -1)) for row in rows], dtype=np.int64),
    )


SEQUENCES: list[Sequence] = []


class Topology(Constraint):
    """The strategies of a sequence in the kernel's primitives."""

    number: int

    def labels(self, problem: PlacementProblem) -> Int64:
        one = SEQUENCES[self.number]
        return np.column_stack([one.nodes, one.affinity, one.anti, one.fault, one.domain])

    def admit(self, kernel: Any) -> None:
        seq, one = SEQUENCES[self.number], kernel.classes.one
        hosts = np.arange(len(seq.rack))
        for group in np.unique(seq.affinity[seq.affinity >= 0]):
            kernel.together(seq.affinity[one] == group, seq.rack)
        for group in np.unique(seq.anti[seq.anti >= 0]):
            kernel.at_most((seq.anti[one] == group).astype(np.int64), hosts, np.ones(len(hosts), np.int64))
        for group in np.unique(seq.fault[seq.fault >= 0]):
            kernel.apart(np.where(seq.fault[one] == group, seq.domain[one], -1), seq.rack)
        nodes = seq.nodes[one]
        kernel.numa(seq.demand[one] // nodes[:, None], nodes, seq.nodes_free)


def problem_of(sequence: Sequence, kind: type[Topology] = Topology) -> PlacementProblem:
    """One pool, every request at the same price anywhere: what counts is how many hosts stay empty."""
    SEQUENCES.append(sequence)
    v, r = len(sequence.rack), len(sequence.demand)
    free = sequence.nodes_free.sum(axis=1)
    return PlacementProblem(
        resource_classes=("vcpu", "memory_gib"),
        request_ids=tuple(f"vm-{i}" for i in range(r)),
        demand=sequence.demand,
        pool_ids=("huawei",),
        tier_of=("tier-1",),
        free=free.sum(axis=0, keepdims=True),
        largest=np.full((1, 2), 2**30),
        cost_micros=np.zeros((r, 1), dtype=np.int64),
        hosts=Hosts(tuple(f"host-{n}" for n in range(v)), np.zeros(v, dtype=np.int64), free, free.copy()),
        constraints=(kind(number=len(SEQUENCES) - 1),),
    )


def _rows(path: Path) -> Iterator[dict[str, str]]:
    """Each row of the first sheet of an xlsx file, by column letter."""
    with zipfile.ZipFile(path) as book:
        shared = [
            "".join(text.text or "" for text in one.iter(f"{_SHEET}t"))
            for one in ET.fromstring(book.read("xl/sharedStrings.xml"))
        ]
        sheet = ET.fromstring(book.read("xl/worksheets/sheet1.xml"))
    for row in sheet.iter(f"{_SHEET}row"):
        cells = {}
        for cell in row:
            value = cell.find(f"{_SHEET}v")
            if value is not None and value.text:
                column = str(cell.get("r")).rstrip("0123456789")
                cells[column] = shared[int(value.text)] if cell.get("t") == "s" else value.text
        yield cells


def racks(path: Path) -> list[int]:
    """The rack of each host, in the order of the hosts' rows: the numbers in the second column of an old xls file."""
    found: dict[int, int] = {}
    for kind, record in _records(_workbook(path.read_bytes())):
        if kind == 0x0203:  # NUMBER
            row, column = struct.unpack_from("<HH", record)
            if column == 1:
                found[row] = int(struct.unpack_from("<d", record, 6)[0])
        elif kind == 0x027E:  # RK
            row, column = struct.unpack_from("<HH", record)
            if column == 1:
                found[row] = _small_number(struct.unpack_from("<I", record, 6)[0])
    assert sorted(found) == list(range(1, len(found) + 1)), "a host has no rack"
    return [found[row] for row in sorted(found)]


def _small_number(rk: int) -> int:
    """An RK number: 30 bits of an integer or of a double, perhaps times 100."""
    plain = (rk >> 2) if rk & 2 else int(struct.unpack("<d", struct.pack("<Q", (rk & ~3) << 32))[0])
    return plain // 100 if rk & 1 else plain


def _records(stream: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(stream):
        kind, length = struct.unpack_from("<HH", stream, at)
        yield kind, stream[at + 4 : at + 4 + length]
        at += 4 + length


def _workbook(data: bytes) -> bytes:
    """The stream ``Workbook`` of a compound file."""
    size = 1 << struct.unpack_from("<H", data, 30)[0]

    def sector(n: int) -> bytes:
        return data[(n + 1) * size : (n + 2) * size]

    table = [n for n in struct.unpack_from("<109I", data, 76) if n < 0xFFFFFFFC]
    nexts = [n for one in table for n in struct.unpack(f"<{size // 4}I", sector(one))]

    def chain(n: int) -> bytes:
        parts = []
        while n < 0xFFFFFFFC:
            parts.append(sector(n))
            n = nexts[n]
        return b"".join(parts)

    folder = chain(struct.unpack_from("<I", data, 48)[0])
    for at in range(0, len(folder), 128):
        length = struct.unpack_from("<H", folder, at + 64)[0]
        if folder[at : at + max(0, length - 2)].decode("utf-16-le") == "Workbook":
            first, bytes_long = struct.unpack_from("<II", folder, at + 116)
            return chain(first)[:bytes_long]
    msg = "no Workbook in it"
    raise ValueError(msg)
