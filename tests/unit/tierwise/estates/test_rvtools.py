"""What is read from RVTools exports of all ages and states of repair."""

import csv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from catalog.estates import Estate, PowerState
from tierwise.errors import InvalidInput
from tierwise.estates import read

from .conftest import DB, HEADINGS, HOSTS, WEB, changed

Made = Callable[..., Estate]


def reasons(estate: Estate) -> list[tuple[str, str, str]]:
    return [(one.where, one.name, one.reason) for one in estate.dropped]


def test_every_field_of_a_row_is_read(of_rows: Made) -> None:
    headings = (*HEADINGS, "OS according to the configuration file", "OS according to the VMware Tools", "Folder", "vApp",
                "Network #1", "Network #2", "Disks", "Firmware", "Path", "owner", "Annotation")  # fmt: skip
    row = (
        *WEB,
        "RHEL 9",
        "other",
        "/dc/vm",
        "shop",
        "front",
        "back",
        3,
        "EFI",
        "[ds1] web/web.vmx",
        "ann",
        "a note",
    )
    (one,) = of_rows(row, headings=headings).machines
    assert (one.id, one.name, one.power, one.vcpus, one.memory_mib) == (
        "uuid-1",
        "web",
        PowerState.ON,
        2,
        2048,
    )
    assert (one.provisioned_mib, one.in_use_mib, one.host, one.pool, one.site) == (
        1000,
        500,
        "h1",
        "cl",
        "dc",
    )
    assert (one.guest_os, one.folder, one.application, one.networks) == (
        "RHEL 9",
        "/dc/vm",
        "shop",
        ("front", "back"),
    )
    assert (one.disks, one.firmware, one.datastores, one.labels) == (3, "efi", ("ds1",), {"owner": "ann"})


def test_templates_agents_and_repeated_headings_are_dropped_and_told(of_rows: Made) -> None:
    estate = of_rows(
        WEB, changed(DB, VM="golden", Template="True"), changed(DB, VM="vCLS-4c4c"), changed(DB, VM="vCLS (2)"), HEADINGS,
        changed(DB, VM="vclsapp"),
    )  # fmt: skip
    assert [one.name for one in estate.machines] == ["web", "vclsapp"]
    assert estate.totals.templates == estate.templates == 1
    assert reasons(estate) == [
        ("vInfo row 3", "golden", "template"),
        ("vInfo row 4", "vCLS-4c4c", "vCLS agent machine"),
        ("vInfo row 5", "vCLS (2)", "vCLS agent machine"),
        ("vInfo row 6", "VM", "line of headings repeated"),
    ]
    assert estate.totals.vcpus == 2 + 4


def test_rows_of_padding_are_no_rows(of_rows: Made) -> None:
    estate = of_rows(WEB, (), ("",) * 9, (" ", None, "  "), DB)
    assert estate.totals.machines == 2
    assert not estate.dropped


def test_a_row_with_a_name_alone_is_a_footer_and_one_without_name_is_named_by_its_id(of_rows: Made) -> None:
    estate = of_rows(WEB, ("Total: 7",), changed(DB, VM=""), changed(DB, VM="", VM_ID="", VM_UUID=""))
    assert [one.name for one in estate.machines] == ["web", "vm-2"]
    assert [reason for _, _, reason in reasons(estate)] == ["nothing but a name", "no machine name"]


def test_a_row_that_stands_twice_is_one_machine_and_a_copy_of_a_name_is_another(of_rows: Made) -> None:
    estate = of_rows(WEB, WEB, changed(WEB, VM_UUID="uuid-9", VM_ID="vm-9"))
    assert [one.id for one in estate.machines] == ["uuid-1", "uuid-9"]
    assert reasons(estate) == [("vInfo row 3, as row 2", "web", "duplicate")]
    assert any("names that several machines have: 1, such as 'web'" in note for note in estate.notes)


def test_a_clone_that_kept_its_uuid_stays_a_machine_of_its_own(of_rows: Made) -> None:
    estate = of_rows(WEB, changed(WEB, VM="clone", VM_ID="vm-9"))
    assert [one.id for one in estate.machines] == ["uuid-1", "uuid-1 vm-9"]


@pytest.mark.parametrize(
    ("rows", "ids"),
    [
        (
            [changed(WEB, VM_UUID=""), changed(DB, VM_UUID="", VM_ID="vm-1", VI_SDK_UUID="vc2")],
            ["vm-1@vc", "vm-1@vc2"],
        ),
        ([changed(WEB, VM_UUID="", VM_ID=""), changed(DB, VM_UUID="", VM_ID="")], ["web", "db"]),
        (
            [changed(WEB, VM_UUID="", VM_ID=""), changed(DB, VM="web", VM_UUID="", VM_ID="")],
            ["web (dc/cl/h1)", "web (dc/cl/h2)"],
        ),
        (
            [changed(WEB, VM_UUID="", VM_ID=""), changed(WEB, VM_UUID="", VM_ID="", CPUs=3)],
            ["web (dc/cl/h1)", "web (dc/cl/h1) vc"],
        ),
    ],
)
def test_without_identifiers_a_machine_is_known_by_the_next_best_thing(
    of_rows: Made, rows: list[tuple[object, ...]], ids: list[str]
) -> None:
    assert [one.id for one in of_rows(*rows).machines] == ids


def test_clusters_of_one_name_in_two_datacenters_are_two_pools(imported: Made) -> None:
    rows = [WEB, changed(DB, Datacenter="dc2"), changed(DB, VM="x", VM_UUID="u3", Cluster="other")]
    hosts = [HOSTS[0], HOSTS[1], ("h2", "dc2", "cl", 1, 4, 4, 10)]
    estate = imported({"vInfo": [HEADINGS, *rows], "vHost": hosts})
    assert [one.pool for one in estate.machines] == ["dc/cl", "dc2/cl", "other"]
    assert [one.pool for one in estate.hosts] == ["dc/cl", "dc2/cl"]
    assert estate.hosts_of("dc2/cl")[0].cores == 4


def test_short_and_full_names_of_hosts_meet_and_addresses_are_not_cut(imported: Made) -> None:
    hosts = [HOSTS[0], ("esx1", "dc", "cl", 2, 8, 0, 1000), ("10.0.0.1", "dc", "cl", 2, 8, 16, 1000)]
    rows = [changed(WEB, Host="ESX1.example.net"), changed(DB, Host="10.0.0.2")]
    estate = imported({"vInfo": [HEADINGS, *rows], "vHost": hosts})
    assert [one.host for one in estate.machines] == ["esx1", "10.0.0.2"]
    assert estate.hosts[0].cores == 16, "sockets times cores per socket, as '# Cores' is 0"
    assert "hosts without a machine: 1 of 2, such as '10.0.0.1'" in estate.notes
    assert any(
        note.startswith("machines on hosts that the sheet of hosts does not have: 1")
        for note in estate.notes
    )


def test_hosts_of_one_name_are_told_apart_and_one_that_stands_twice_is_dropped(imported: Made) -> None:
    hosts = [*HOSTS, HOSTS[1], ("h1", "dc2", "cl2", 1, 4, 4, 10)]
    estate = imported(
        {"vInfo": [HEADINGS, WEB, changed(DB, Host="h1", Datacenter="dc2", Cluster="cl2")], "vHost": hosts}
    )
    assert [one.name for one in estate.hosts] == ["h1", "h2", "h1 (cl2)"]
    assert [one.host for one in estate.machines] == ["h1", "h1 (cl2)"]
    assert ("vHost row 4, as row 2", "h1", "duplicate") in reasons(estate)


def test_clusters_settings_and_datastores_are_read(imported: Made) -> None:
    estate = imported(
        {
            "vInfo": [HEADINGS, WEB],
            "vHost": HOSTS,
            "vCluster": [
                ("Name", "HA enabled", "Failover Level", "AdmissionControlEnabled", "DRS enabled"),
                ("cl", "True", 1, "True", "False"),
                ("empty", "False", 2, "False", "True"),
            ],
            "vDatastore": [
                ("Name", "Type", "Capacity MiB", "In Use MiB", "# Hosts", "Hosts", "URL"),
                ("ds1", "VMFS", 1000, 400, 2, "h1, h2", "u1"),
                ("ds1", "VMFS", 1000, 400, 2, "h1, h2", "u1"),
                ("ds1", "NFS", 2000, 1, 1, "h1", "u2"),
            ],
        }
    )
    first, second = estate.pools
    assert (first.name, first.ha_enabled, first.ha_host_failures, first.drs_enabled) == (
        "cl",
        True,
        1,
        False,
    )
    assert (second.name, second.ha_enabled, second.ha_host_failures) == ("empty", False, None)
    assert [(one.name, one.capacity_mib, one.hosts) for one in estate.datastores] == [
        ("ds1", 1000, ("h1", "h2")),
        ("ds1 #2", 2000, ("h1",)),
    ]


def test_sheets_and_titles_of_other_names_are_found_by_their_columns(imported: Made) -> None:
    title = [("Export of our machines",), (), ("made", "by", "hand")]
    estate = imported({"Notes": [("VM", "is fine")], "Infos": [*title, HEADINGS, WEB, DB], "Server": HOSTS})
    assert estate.totals.machines == estate.totals.hosts == 2
    assert {
        "sheet 'Infos' was read as vInfo, by its columns",
        "sheet 'Server' was read as vHost, by its columns",
    } <= {*estate.notes}


def test_a_second_sheet_of_machines_is_not_read_and_told(imported: Made) -> None:
    estate = imported({"vInfo": [HEADINGS, WEB], "vInfo (2)": [HEADINGS, DB]})
    assert estate.totals.machines == 1
    assert (
        "sheets that RVTools does not write were not read: 'vInfo (2)'; import them as files of their own"
        in estate.notes
    )


def test_old_exports_in_mb_are_read_without_scaling(imported: Made) -> None:
    rows = [
        ("VM", "Powerstate", "CPUs", "Memory", "Provisioned MB", "In Use MB", "Host"),
        ("a", "poweredOn", 2, 2048, 1000, 10, "h1"),
    ]
    estate = imported({"tabvInfo": rows})
    assert (estate.totals.memory_mib, estate.totals.provisioned_mib, estate.totals.in_use_mib) == (
        2048,
        1000,
        10,
    )
    assert any("'Provisioned MB', 'In Use MB' were read in steps of 1,024" in note for note in estate.notes)


def test_units_of_headings_and_of_cells_are_heeded(imported: Made) -> None:
    rows = [
        ("VM", "Powerstate", "CPUs", "Memory (GB)", "Provisioned GiB", "In Use TB"),
        ("a", "poweredOn", 2, 2, 1.5, 0.5),
        ("b", "poweredOn", 2, "4096 MB", "1,5", "512 GB"),
    ]
    estate = imported({"vInfo": rows})
    assert [(one.memory_mib, one.provisioned_mib, one.in_use_mib) for one in estate.machines] == [
        (2048, 1536, 512 * 1024),
        (4096, 1536, 512 * 1024),
    ]


def test_memory_that_looks_like_gib_is_pointed_out_and_not_changed(of_rows: Made) -> None:
    estate = of_rows(
        *(changed(WEB, VM=f"m{n}", VM_UUID=f"u{n}", VM_ID=f"vm-{n}", Memory=n) for n in (4, 8, 16))
    )
    assert estate.totals.memory_mib == 28
    assert any("name it 'Memory GiB'" in note for note in estate.notes)


def test_decimal_commas_of_a_file_settle_what_its_points_mean(of_rows: Made) -> None:
    row = ("web", "poweredOn", "Falsch", "2", "2.048", "1.234,5", "1.000", "dc", "cl", "h1")
    estate = of_rows(row, headings=HEADINGS[:10])
    assert (estate.totals.memory_mib, estate.totals.provisioned_mib, estate.totals.in_use_mib) == (
        2048,
        1235,
        1000,
    )
    assert not any("two ways" in note for note in estate.notes)
    assert any(
        "'2.048' could be read in two ways" in note for note in of_rows(changed(WEB, Memory="2.048")).notes
    )


def test_cells_that_are_no_number_are_left_out_and_told_and_the_row_stays(of_rows: Made) -> None:
    estate = of_rows(changed(WEB, CPUs="two", Memory=-5, Provisioned_MiB=1e300, In_Use_MiB="#REF!"))
    (one,) = estate.machines
    assert (one.vcpus, one.memory_mib, one.provisioned_mib, one.in_use_mib) == (0, 0, 0, 0)
    assert (
        "vInfo, column 'CPUs': cells that are no number, and were left out: 1, such as 'two' in row 2"
        in estate.notes
    )
    assert (
        "vInfo, column 'Memory': negative numbers, which were left out: 1, such as '-5' in row 2"
        in estate.notes
    )


def test_missing_columns_are_named_with_what_was_taken_instead(imported: Made) -> None:
    estate = imported(
        {
            "vInfo": [("VM", "Powerstate"), ("web", "poweredOn")],
            "vCPU": [("VM", "CPUs", "Overall", "Max"), ("web", 7, 100, 400)],
            "vMemory": [("VM", "Size MiB", "Active"), ("web", 4096, 1024)],
            "vDisk": [
                ("VM", "Capacity MiB", "Path"),
                ("web", 100, "[ds1] a"),
                ("web", 50, "[ds2] b"),
                ("other", 9, ""),
            ],
            "vNetwork": [("VM", "Network"), ("web", "front"), ("web", "back")],
        }
    )
    (one,) = estate.machines
    assert (one.vcpus, one.memory_mib, one.provisioned_mib, one.disks) == (7, 4096, 150, 2)
    assert (one.datastores, one.networks) == (("ds1", "ds2"), ("front", "back"))
    use = one.utilization
    assert (use.cpu_percent, use.memory_percent, use.samples, use.percentile) == (25.0, 25.0, 1, None)
    for said in (
        "no column 'CPUs': vCPUs were taken from vCPU",
        "no column 'Memory': memory was taken from vMemory",
        "no column 'Provisioned MiB': the capacities of vDisk were added up",
        "no column 'In Use MiB': disk in use counts as 0",
        "no sheet vHost that can be read: hosts are not known",
    ):
        assert any(said in note for note in estate.notes), said


def test_without_datacenters_machines_stand_where_their_hosts_do(imported: Made) -> None:
    estate = imported(
        {
            "vInfo": [
                ("VM", "Powerstate", "CPUs", "Memory", "Host"),
                ("web", "poweredOn", 2, 4096, "esx1"),
            ],
            "vHost": [
                ("Host", "Datacenter", "# CPU", "# Cores", "# Memory"),
                ("esx1", "north", 2, 16, 65536),
            ],
        }
    )
    assert [one.site for one in estate.machines] == ["north"]
    assert (
        "vInfo has no column 'Datacenter': machines stand where their hosts do, where that is known"
        in estate.notes
    )


def test_a_workbook_without_vinfo_takes_its_machines_from_vcpu(imported: Made) -> None:
    estate = imported(
        {
            "vCPU": [("VM", "Powerstate", "CPUs"), ("a", "poweredOn", 7)],
            "vMemory": [("VM", "Size MiB"), ("a", 9)],
        }
    )
    assert (estate.totals.vcpus, estate.totals.memory_mib) == (7, 9)
    assert "there is no sheet vInfo: machines were taken from vCPU" in estate.notes


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("Powerstate", "CPUs"), ("poweredOn", 2)], "has no column 'vm'; it has Powerstate, CPUs"),
        ([HEADINGS], "has no machines; check the export's filter"),
        ([HEADINGS, changed(WEB, Template="True")], "has no machines \\(1 row was left out, template\\)"),
    ],
)
def test_a_workbook_without_machines_says_why(
    imported: Made, rows: list[tuple[object, ...]], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        imported({"vInfo": rows})


def test_hosts_without_any_machine_are_an_estate_with_a_note(imported: Made) -> None:
    estate = imported({"vInfo": [HEADINGS], "vHost": HOSTS})
    assert (estate.totals.machines, estate.totals.cores) == (0, 32)
    assert "sheet 'vInfo' has no machines; check the export's filter, and export again" in estate.notes


DIALECT = {
    "RVTools_tabvInfo.csv": [
        ("vInfoVMName", "vInfoPowerstate", "vInfoTemplate", "vInfoCPUs", "vInfoMemory", "vInfoProvisioned", "vInfoInUse",
         "vInfoDataCenter", "vInfoCluster", "vInfoHost", "vInfoUUID", "vInfoOS", "vInfoNumVirtualDisks", "vInfoNetwork1"),
        ("web", "poweredOn", "False", "2", "4,096", "1000", "10", "dc", "cl", "h1", "u1", "Linux", "2", "front"),
    ],
    "RVTools_tabvHost.csv": [
        ("vHostName", "vHostDatacenter", "vHostCluster", "vHostCpuModel", "vHostCpuMhz", "vHostNumCpu", "vHostCoresPerCPU",
         "vHostNumCpuCores", "vHostMemorySize"),
        ("h1", "dc", "cl", "Xeon", "2000", "2", "8", "16", "262144"),
    ],
}  # fmt: skip
"""The dialect that docs of a merging tool list, with headings that begin with the sheet's name."""


@pytest.fixture(params=["folder", "zip"])
def bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / "export"
    folder.mkdir()
    for name, rows in DIALECT.items():
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    if request.param == "folder":
        return folder
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as package:
        for file in folder.iterdir():
            package.write(file, f"export/{file.name}")
    return tmp_path / "export.zip"


def test_a_bundle_of_csv_files_is_an_estate(bundle: Path) -> None:
    estate = read(bundle)
    assert estate.totals.model_dump() == {
        "machines": 1, "powered_on": 1, "templates": 0, "vcpus": 2, "memory_mib": 4096, "provisioned_mib": 1000,
        "in_use_mib": 10, "hosts": 1, "cores": 16, "host_memory_mib": 262144,
    }  # fmt: skip
    (one,), (host,) = estate.machines, estate.hosts
    assert (one.id, one.guest_os, one.disks, one.networks) == ("u1", "Linux", 2, ("front",))
    assert (host.sockets, host.cpu_mhz, host.cpu_model) == (2, 2000, "Xeon")
