"""What a pool lacks where disks have nowhere else to go."""

from catalog.capabilities import Gap, GapReason


def no_second(where: str, kind: str, remedy: str) -> Gap:
    """The gap of a pool with one storage only; `kind` is what its hypervisor calls one."""
    detail = f"{where} has no second {kind} that disks can move to; {remedy}"
    return Gap(reason=GapReason.NOT_CONFIGURED, detail=detail[:300])
