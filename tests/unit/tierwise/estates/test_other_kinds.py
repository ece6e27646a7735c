"""Azure Migrate, Live Optics, and our own documents."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from catalog.estates import Estate
from catalog.estates.generator import generate
from tierwise.errors import InvalidInput
from tierwise.estates import document, read

DATA = Path(__file__).parents[4] / ".." / "shared" / "data" / "rvtools"

AZURE = """\
*Server name,IP addresses,*Cores,*Memory (In MB),*OS name,OS version,OS architecture,Server type,Hypervisor,\
CPU utilization percentage,Memory utilization percentage,Network adapters,Network In throughput,\
Network Out throughput,Boot type,Number of disks,Storage in use (In GB),Disk 1 size (In GB),\
Disk 1 read throughput (MB per second),Disk 1 write throughput (MB per second),\
Disk 1 read ops (operations per second),Disk 1 write ops (operations per second),Disk 2 size (In GB)
shop,10.0.0.1;10.0.0.2,4,8192,Windows Server,2019,x64,Virtual,VMware,20,30.5,2,1,1,UEFI,2,100,60,1,1,1,1,40.5
shop,10.0.0.3,8,16384,Linux,,x64,Physical,,,,,,,BIOS,,,60,,,,,
shop,10.0.0.3,8,16384,Linux,,x64,Physical,,,,,,,BIOS,,,60,,,,,
,10.0.0.4,8,16384,Linux,,x64,Physical,,,,,,,BIOS,,,60,,,,,
"""


def test_an_azure_migrate_file_is_an_estate_without_hosts(tmp_path: Path) -> None:
    (tmp_path / "servers.csv").write_text(AZURE)
    estate = read(tmp_path / "servers.csv")
    first, second = estate.machines
    assert (first.id, first.name, second.id, second.name) == ("shop", "shop", "shop #2", "shop")
    assert (first.vcpus, first.memory_mib, first.provisioned_mib, first.in_use_mib) == (
        4,
        8192,
        102912,
        102400,
    )
    assert (first.guest_os, first.firmware, first.disks, second.disks) == (
        "Windows Server 2019",
        "efi",
        2,
        1,
    )
    assert (first.utilization.cpu_percent, first.utilization.memory_percent) == (20.0, 30.5)
    assert first.labels == {
        "server_type": "Virtual",
        "hypervisor": "VMware",
        "addresses": "10.0.0.1;10.0.0.2",
    }
    assert [(one.where, one.reason) for one in estate.dropped] == [
        ("servers row 4, as row 3", "duplicate"),
        ("servers row 5", "no machine name"),
    ]
    assert (
        "MB and GB were read as MiB and GiB: hypervisors size memory and disks in steps of 1,024"
        in estate.notes
    )


def test_the_columns_that_azure_migrate_documents_are_known(tmp_path: Path) -> None:
    if not DATA.exists():
        pytest.skip("the column lists are not in ../shared/data")
    columns = (DATA / "azure_migrate_columns.txt").read_text().splitlines()[0].split(" | ")[:-1]
    (tmp_path / "a.csv").write_text(",".join(columns) + "\n" + ",".join(["7"] * len(columns)) + "\n")
    (one,) = read(tmp_path / "a.csv").machines
    assert (one.name, one.vcpus, one.memory_mib, one.provisioned_mib, one.in_use_mib) == (
        "7",
        7,
        7,
        7168,
        7168,
    )


@pytest.mark.parametrize(
    ("content", "said"), [("*Server name,*Cores,*Memory (In MB),*OS name\n", "has no servers")]
)
def test_an_azure_migrate_file_without_servers_says_so(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(InvalidInput, match=said):
        read(tmp_path / "a.csv")


def test_a_live_optics_workbook_is_an_estate(workbook: Callable[..., Path]) -> None:
    file = workbook(
        {
            "Summary": [("Project", "x")],
            "VMs": [
                ("VM Name", "Power State", "Template", "Virtual CPU", "Provisioned Memory (MB)", "Used Memory (active) (MB)",
                 "Virtual Disk Size (MB)", "Virtual Disk Used (MB)", "Cluster", "Host", "VM OS"),
                ("web", "poweredOn", "FALSE", 2, 4096, 1024, 10240, 5000, "cl", "h1", "Linux"),
                ("gold", "poweredOff", "TRUE", 2, 4096, 0, 10240, 5000, "cl", "h1", "Linux"),
            ],
            "VM Performance": [("VM Name", "Avg CPU %"), ("web", 12.5)],
            "ESX Hosts": [("Host Name", "Cluster", "CPU Sockets", "CPU Cores", "Memory (MiB)"), ("h1", "cl", 2, 16, 1000)],
        }
    )  # fmt: skip
    estate = read(file)
    assert estate.source == "Live Optics workbook export.xlsx"
    assert estate.totals.model_dump() == {
        "machines": 1, "powered_on": 1, "templates": 1, "vcpus": 2, "memory_mib": 4096, "provisioned_mib": 10240,
        "in_use_mib": 5000, "hosts": 1, "cores": 16, "host_memory_mib": 1000,
    }  # fmt: skip
    (one,) = estate.machines
    assert (one.pool, one.guest_os, one.utilization.memory_percent) == ("cl", "Linux", 25.0)


def test_a_document_keeps_everything() -> None:
    estate = generate(50, seed=3)
    text = document.text(estate)
    assert document.parse(text, "x") == estate
    assert json.loads(text)["format"] == "tierwise-estate/1"


def test_a_document_tells_all_that_is_wrong_with_it() -> None:
    bad = {
        "format": document.FORMAT,
        "name": "x",
        "source": "y",
        "machines": [{"id": "a", "vcpus": -1, "memory_mib": "x"}],
    }
    with pytest.raises(InvalidInput, match="file: 3 problems; nothing was imported") as error:
        document.parse(json.dumps(bad), "file")
    assert error.value.details[0] == "machines[0].name: field required"
    with pytest.raises(InvalidInput, match="is no JSON"):
        document.parse('{"format": ' + "[" * 100_000, "file")
    with pytest.raises(InvalidInput, match='and it has "tierwise-estate/2"'):
        document.parse('{"format": "tierwise-estate/2"}', "file")


def test_the_schema_names_every_field_of_an_estate_and_the_format() -> None:
    schema = document.schema()
    assert set(schema["properties"]) == {"format", *Estate.model_fields}
    assert schema["required"] == ["format", "name", "source"]
    assert schema["properties"]["format"] == {"const": document.FORMAT}
    assert json.loads(document.schema_text()) == schema


def servers(path: Path, *rows: str, without: str = "", headings: str = "") -> Path:
    """A file of Azure Migrate's with these rows, without one of its columns."""
    plain = (
        headings
        or "Server name,Cores,Memory (In MB),OS name,CPU utilization percentage,Disk 1 size (In GB)"
    )
    kept = [n for n, name in enumerate(plain.split(",")) if name != without]
    lines = [",".join(line.split(",")[n] for n in kept) for line in (plain, *rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("missing", ["Cores", "Memory (In MB)", "OS name"])
def test_a_file_that_is_nearly_of_a_kind_is_told_which_column_it_lacks(
    tmp_path: Path, missing: str
) -> None:
    file = servers(tmp_path / "a.csv", "web,4,8192,Linux,20,100", without=missing)
    with pytest.raises(InvalidInput, match="is no export of a known kind") as error:
        read(file)
    assert list(error.value.details) == [f"as azure-migrate it lacks the column '{missing}'"]
    with pytest.raises(InvalidInput, match="lacks the column") as error:
        read(file, kind="azure-migrate")
    assert missing in str(error.value)


def test_hosts_of_live_optics_without_its_machines_are_told_so(workbook: Callable[..., Path]) -> None:
    hosts = [
        ("Host Name", "Cluster", "CPU Sockets", "CPU Cores", "Memory (MiB)"),
        ("h1", "cl", 2, 16, 1000),
    ]
    with pytest.raises(InvalidInput, match="no export of a known kind") as error:
        read(workbook({"ESX Hosts": hosts}))
    assert "as live-optics it lacks the sheet 'VMs'" in error.value.details
    renamed = [("VM Name", "Betriebszustand", "Host"), ("web", "an", "h1")]
    with pytest.raises(InvalidInput, match="no export of a known kind") as error:
        read(workbook({"VMs": renamed, "ESX Hosts": hosts}))
    assert "as live-optics it lacks the columns 'Virtual CPU', 'Power State'" in error.value.details


def test_shares_in_place_of_percentages_are_pointed_out(tmp_path: Path) -> None:
    rows = [f"web{n},4,8192,Linux,0.{n},100" for n in range(1, 5)]
    notes = read(servers(tmp_path / "a.csv", *rows)).notes
    assert any("no machine uses more than 1 % of its CPU; if the column has shares" in one for one in notes)
    rows = [f"web{n},4,8192,Linux,{n}0,100" for n in range(1, 5)]
    notes = read(servers(tmp_path / "b.csv", *rows, "hot,4,8192,Linux,4000,100")).notes
    assert not any("1 %" in one for one in notes)
    assert any("use more than 200 % of their CPU" in one and "'hot'" in one for one in notes)


def test_an_export_without_sizes_of_disks_says_that_disk_counts_as_nothing(
    tmp_path: Path, workbook: Callable[..., Path]
) -> None:
    row = "web,4,8192,Linux,20,100"
    without = read(servers(tmp_path / "a.csv", row, without="Disk 1 size (In GB)"))
    assert any("no machine has a size of disks" in one for one in without.notes)
    assert not any("size of disks" in one for one in read(servers(tmp_path / "b.csv", row)).notes)
    vms = [
        ("VM Name", "Power State", "Virtual CPU", "Provisioned Memory (MiB)"),
        ("web", "poweredOn", 2, 4096),
    ]
    assert any("no machine has a size of disks" in one for one in read(workbook({"VMs": vms})).notes)


def test_disks_that_are_all_tiny_are_pointed_out(tmp_path: Path) -> None:
    headings = "Server name,Cores,Memory (In MB),OS name,CPU utilization percentage,Disk 1 size (In MB)"
    rows = [f"web{n},4,8192,Linux,20,100" for n in range(4)]
    notes = read(servers(tmp_path / "a.csv", *rows, headings=headings)).notes
    assert any("nine in ten machines have less than 1 GiB of disk" in one for one in notes)


def test_a_quote_that_is_never_closed_is_told_with_its_line_and_what_it_would_swallow(
    tmp_path: Path,
) -> None:
    rows = ["web1,4,8192,Linux,20,100", 'web2,4,8192,"Linux,20,100', "web3,4,8192,Linux,20,100"]
    with pytest.raises(InvalidInput, match="a quote that opens in line 3 is never closed") as error:
        read(servers(tmp_path / "a.csv", *rows))
    assert "1 line below it would be lost" in str(error.value)


def test_a_cell_of_several_lines_is_no_damage(tmp_path: Path) -> None:
    rows = ['web1,4,8192,"Linux\nof our own",20,100', "web2,4,8192,Linux,20,100"]
    first, second = read(servers(tmp_path / "a.csv", *rows)).machines
    assert (first.guest_os, second.name) == ("Linux\nof our own", "web2")
