"""Workbooks that we write: read back by ourselves, by pandas, and by two programs that read RVTools."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest

from catalog.estates import Estate, EstateHost, EstateMachine, EstatePool, PowerState, Utilization
from catalog.estates.generator import generate
from tierwise.errors import InvalidInput, TierwiseError
from tierwise.estates import document, read, write
from tierwise.estates.rvtools.headings import HEADINGS

DATA = Path(__file__).parents[4] / ".." / "shared" / "data" / "rvtools"
# azure-rvtools reads in a way that pandas calls old.
pytestmark = pytest.mark.filterwarnings("ignore:ExcelFile.parse is deprecated")
SAMPLES = ("kubev2v-example1.xlsx", "rvtools-small-complete.xlsx")


@pytest.fixture(scope="module")
def estate() -> Estate:
    return generate(300, seed=5)


@pytest.fixture(scope="module")
def exported(estate: Estate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("out") / "generated.xlsx"
    write(estate, target)
    return target


def sample(name: str) -> Path:
    if not (DATA / name).exists():
        pytest.skip("the RVTools samples are not in ../shared/data")
    return DATA / name


@pytest.fixture(scope="module")
def compact(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The first 50 rows of each sheet: openpyxl takes ten seconds for the padding of one of the samples."""

    def copy(name: str) -> Path:
        if name == "generated":
            return exported
        target = tmp_path_factory.mktemp("compact") / name
        old, new = openpyxl.load_workbook(sample(name), read_only=True), openpyxl.Workbook()
        for title in old.sheetnames:
            sheet = new.create_sheet(title)
            for row in old[title].iter_rows(max_row=50, max_col=120, values_only=True):
                sheet.append(row)
        old.close()
        new.remove(new["Sheet"])
        new.save(target)
        return target

    return copy


def known_to_rvtools(estate: Estate) -> dict[str, Any]:
    """What a workbook has a place for."""
    machines = [one.model_copy(update={"utilization": Utilization()}) for one in estate.machines]
    return {
        "machines": machines,
        "hosts": estate.hosts,
        "pools": estate.pools,
        "datastores": estate.datastores,
    }


def test_what_is_exported_is_what_is_imported(estate: Estate, exported: Path) -> None:
    again = read(exported)
    assert known_to_rvtools(again) == known_to_rvtools(estate)
    assert again.totals == estate.totals
    assert not again.dropped
    assert not again.notes


def test_the_same_estate_gives_the_same_bytes(estate: Estate, exported: Path, tmp_path: Path) -> None:
    write(estate, tmp_path / "again.xlsx")
    assert (tmp_path / "again.xlsx").read_bytes() == exported.read_bytes()


def test_the_headings_are_those_of_rvtools(exported: Path) -> None:
    """The list that the data folder has was taken from a real export."""
    lines = sample("rvtools_27_sheets_columns.tsv").read_text().splitlines()[1:]
    real = {name: tuple(said.split("|")) for name, _, said in (line.split("\t") for line in lines)}
    book = openpyxl.load_workbook(exported, read_only=True)
    for name in book.sheetnames:
        (first,) = book[name].iter_rows(max_row=1, values_only=True)
        assert first[: len(real[name])] == real[name] == HEADINGS[name]
    assert first == real["vMetaData"]


def test_what_is_not_known_is_empty(exported: Path) -> None:
    vinfo = pd.read_excel(exported, "vInfo", engine="openpyxl")
    for heading in (
        "DNS Name",
        "Primary IP Address",
        "Creation date",
        "HW version",
        "SMBIOS UUID",
        "Unshared MiB",
    ):
        assert vinfo[heading].isna().all(), heading


def plain_totals(path: Path) -> dict[str, int]:
    """Sums that pandas and openpyxl make of the sheets, with what counts as a machine written out anew."""
    book = pd.read_excel(path, ["vInfo", "vHost"], engine="openpyxl")
    vinfo, vhost = book["vInfo"], book["vHost"]
    vinfo = vinfo[vinfo["VM"].notna()]
    if "Template" in vinfo:
        vinfo = vinfo[vinfo["Template"].astype(str) != "True"]

    def total(table: Any, heading: str) -> int:
        return int(table[heading].sum()) if heading in table else 0

    return {
        "machines": len(vinfo),
        "powered_on": int((vinfo["Powerstate"] == "poweredOn").sum()),
        "vcpus": total(vinfo, "CPUs"),
        "memory_mib": total(vinfo, "Memory"),
        "provisioned_mib": total(vinfo, "Provisioned MiB"),
        "in_use_mib": total(vinfo, "In Use MiB"),
        "hosts": int(vhost["Host"].notna().sum()),
        "cores": total(vhost, "# Cores"),
        "host_memory_mib": total(vhost, "# Memory"),
    }


@pytest.mark.parametrize("name", [*SAMPLES, "generated"])
def test_totals_are_those_of_a_plain_read(
    name: str, exported: Path, compact: Callable[[str], Path]
) -> None:
    path = exported if name == "generated" else sample(name)
    ours = read(path).totals.model_dump()
    del ours["templates"]
    assert ours == plain_totals(compact(name))


@pytest.fixture
def azure_machines(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], list[Any]]:
    """Its parse function; what it leaves open is closed."""
    from azure_rvtools import rvtools

    def parsed(path: Path) -> list[Any]:
        opened, real = [], pd.ExcelFile

        def tracked(*arguments: Any, **options: Any) -> Any:
            opened.append(real(*arguments, **options))
            return opened[-1]

        with monkeypatch.context() as patch:
            patch.setattr(rvtools.pd, "ExcelFile", tracked)
            found = rvtools.parse_rvtools(path, include_powered_off=True)
        for one in opened:
            one.close()
        return found

    return parsed


@pytest.mark.parametrize(
    ("name", "their_vcpus_more"),
    [("kubev2v-example1.xlsx", 1), ("rvtools-small-complete.xlsx", 0), ("generated", 0)],
)
def test_azure_rvtools_reads_the_same_machines(
    name: str,
    their_vcpus_more: int,
    exported: Path,
    compact: Callable[[str], Path],
    azure_machines: Callable[[Path], list[Any]],
) -> None:
    """Its known fault: a cell of CPUs that is no number counts as 1, so that the kubev2v sample has 52 vCPUs, not 51."""
    path = exported if name == "generated" else sample(name)
    ours = read(path)
    theirs = azure_machines(compact(name))
    assert sorted(one.name for one in theirs) == sorted(one.name for one in ours.machines)
    assert sum(one.vcpus for one in theirs) == ours.totals.vcpus + their_vcpus_more
    assert round(sum(one.ram_gb for one in theirs) * 1024) == ours.totals.memory_mib
    assert round(sum(one.provisioned_gb for one in theirs) * 1024) == ours.totals.provisioned_mib
    assert round(sum(one.in_use_gb for one in theirs) * 1024) == ours.totals.in_use_mib
    assert sum(one.is_powered_on for one in theirs) == ours.totals.powered_on


def test_azure_rvtools_takes_every_guest_for_linux(
    exported: Path, azure_machines: Callable[[Path], list[Any]]
) -> None:
    """Its known fault: it looks for 'OS according to the config file', and RVTools writes 'configuration file'."""
    windows = sum("Windows" in one.guest_os for one in read(exported).machines)
    assert windows > 50
    assert {one.os_type for one in azure_machines(exported)} == {"linux"}


@pytest.mark.parametrize("name", [*SAMPLES, "generated"])
def test_oci_rvtools_reads_the_same_machines(
    name: str, exported: Path, compact: Callable[[str], Path]
) -> None:
    """It leaves out machines without a cluster where others have one: the last row of the kubev2v sample."""
    from oci_rvtools.ingest import load_vinfo_dataframe, prepare_vinfo_df

    path = exported if name == "generated" else sample(name)
    ours = [one for one in read(path).machines if one.pool]
    theirs = prepare_vinfo_df(load_vinfo_dataframe(compact(name)), verbose=False)
    assert sorted(theirs["VM"]) == sorted(one.name for one in ours)
    assert theirs["CPUs"].sum() == sum(one.vcpus for one in ours)
    assert theirs["Memory"].sum() == sum(one.memory_mib for one in ours)
    assert theirs["Provisioned MiB"].sum() == sum(one.provisioned_mib for one in ours)
    guests = theirs.set_index("VM")["OS according to the configuration file"].fillna("").to_dict()
    if name != "rvtools-small-complete.xlsx":  # It has the guests of VMware Tools only.
        assert guests == {one.name: one.guest_os for one in ours}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_survives_export_and_import(name: str, tmp_path: Path) -> None:
    first = read(sample(name))
    write(first, tmp_path / "again.xlsx")
    again = read(tmp_path / "again.xlsx")
    assert again.totals == first.totals
    assert known_to_rvtools(again) == known_to_rvtools(first)


ODD = Estate(
    name="odd",
    source="by hand",
    machines=(
        EstateMachine(
            id="=1+1",
            name="=cmd()",
            vcpus=1,
            memory_mib=1,
            labels={"VM": "a", "https://x": "http://y", "tenant": "no"},
        ),
        EstateMachine(id="b", name="b", vcpus=0, memory_mib=2**53, power=PowerState.SUSPENDED, tenant="t"),
        EstateMachine(
            id="4C4C4544-0000-0000-0000-000000000000", name="b", vcpus=1, memory_mib=1, host="stranger"
        ),
    ),
    hosts=(EstateHost(name="h", sockets=3, cores=10), EstateHost(name="lonely", in_maintenance=True)),
    pools=(EstatePool(name="empty", ha_enabled=False, drs_enabled=True),),
)


def test_odd_names_and_labels_survive_and_no_text_becomes_a_formula(tmp_path: Path) -> None:
    notes = write(ODD, tmp_path / "odd.xlsx")
    again = read(tmp_path / "odd.xlsx")
    assert [one.name for one in again.machines] == ["=cmd()", "b", "b"]
    assert again.machines[0].id == "=1+1"
    assert again.machines[0].labels == {"VM (label)": "a", "https://x": "http://y", "tenant (label)": "no"}
    assert [(one.tenant, one.memory_mib, one.power) for one in again.machines][1] == (
        "t",
        2**53,
        PowerState.SUSPENDED,
    )
    assert again.machines[2].id == ODD.machines[2].id.lower()
    assert again.hosts == ODD.hosts
    assert again.pools == ODD.pools
    cells = openpyxl.load_workbook(tmp_path / "odd.xlsx")["vInfo"]
    assert cells["A2"].data_type == "s"
    assert notes == ()


def test_what_a_workbook_has_no_place_for_is_told(estate: Estate, tmp_path: Path) -> None:
    measured = sum(bool(one.utilization.samples) for one in estate.machines)
    assert any(
        note.startswith(f"{measured} machines have measured utilization")
        for note in write(estate, tmp_path / "a.xlsx")
    )
    hosts = [one.model_copy(update={"cores_are_threads": True}) for one in estate.hosts]
    unknown = estate.model_copy(update={"hosts": tuple(hosts)})
    assert any(
        note.startswith(f"{len(hosts)} hosts tell threads and no cores")
        for note in write(unknown, tmp_path / "a.xlsx")
    )
    assert document.parse(document.text(unknown).encode(), "a.json") == unknown
    assert write(estate, tmp_path / "a.json") == ()
    assert document.parse((tmp_path / "a.json").read_bytes(), "a.json") == estate


@pytest.mark.parametrize("name", ["a.xls", "a", "a.csv"])
def test_other_endings_are_refused(estate: Estate, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match=r"can be written as \.json or \.xlsx"):
        write(estate, tmp_path / name)


def test_a_folder_that_is_not_there_leaves_nothing_behind(estate: Estate, tmp_path: Path) -> None:
    with pytest.raises(TierwiseError, match="was not written: No such file"):
        write(estate, tmp_path / "no" / "a.xlsx")
    (tmp_path / "a.xlsx").mkdir()
    with pytest.raises(TierwiseError, match="was not written: Is a directory"):
        write(estate, tmp_path / "a.xlsx")
    assert [one.name for one in tmp_path.iterdir()] == ["a.xlsx"]
