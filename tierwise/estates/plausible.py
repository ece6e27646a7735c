"""Numbers that are right as numbers and hard to believe: most often a unit that the heading does not say."""

from collections.abc import Sequence

from tierwise.estates.findings import Findings

_SMALL_MIB = 256
_LARGEST_MIB = 32 * 1024**2
"""No hypervisor runs a machine with more than 32 TiB."""
_MOST_VCPUS = 1024
_FEW = 3


def check_plausible(sheet: str, machines: Sequence[tuple[str, int, int]], findings: Findings) -> None:
    """Notes about machines (name, vCPUs, memory in MiB) without size, of no size that exists, or all far too small."""
    memory = sorted(memory_mib for _, _, memory_mib in machines if memory_mib)
    if len(memory) >= _FEW and memory[len(memory) * 9 // 10] < _SMALL_MIB:
        findings.note(
            f"{sheet}: nine in ten machines have less than {_SMALL_MIB} MiB of memory; if the column is in GiB, name it "
            "'Memory GiB', and import again"
        )
    for name, vcpus, memory_mib in machines:
        if memory_mib > _LARGEST_MIB:
            findings.count(
                sheet,
                "machines with more than 32 TiB of memory, for which the column's unit should be checked",
                f"'{name}'",
            )
        if vcpus > _MOST_VCPUS:
            findings.count(
                sheet,
                f"machines with more than {_MOST_VCPUS:,} vCPUs, for which the column should be checked",
                f"'{name}'",
            )
        if not vcpus or not memory_mib:
            findings.count(sheet, "machines without vCPUs or memory, which count as 0", f"'{name}'")
