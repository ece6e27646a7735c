# ruff: noqa: EM101 -- what goes wrong at a host is told by its id and its words
"""Resource metering: every machine that runs uses the same, so that sums can be worked out by hand."""

from connectors.simulators.hyperv.calls import Call, Found
from connectors.simulators.hyperv.cmdlets import NetObject
from connectors.simulators.hyperv.estate import Metering, Vm

BUSY_MHZ = 500
READ_MB_PER_S = 20
WRITTEN_MB_PER_S = 10
RECEIVED_MB_PER_S = 8
SENT_MB_PER_S = 4
"""Of each network card, for each of the addresses that metering begins with: all of IPv4, all of IPv6."""
ADDRESSES = ("0.0.0.0/0", "::/0")


def enable(call: Call) -> Found:
    """Begin to meter; nothing for a machine that is metered already."""
    call.only("VM")
    for vm in call.vms():
        if vm.metering is None:
            vm.metering = Metering(call.world.pass_time())
    return []


def measure_vm(call: Call) -> Found:
    """What machines used since metering began; null where one has not run yet."""
    call.only("VM")
    now_s = call.world.pass_time()
    return [_report(call, vm, now_s) for vm in call.vms()]


def _report(call: Call, vm: Vm, now_s: float) -> NetObject:
    if vm.metering is None:
        raise call.error("OperationFailed", "InvalidOperation", "resource metering is not enabled")
    duration_s, ran_s = now_s - vm.metering.since_s, vm.metering.ran_s
    used = ran_s > 0
    properties = {
        "VMId": vm.id,
        "MeteringDuration": int(duration_s * 1000) if used else None,
        "AverageProcessorUsage": int(BUSY_MHZ * ran_s / duration_s) if used else None,
        "AggregatedDiskDataRead": int(READ_MB_PER_S * ran_s) if used else None,
        "AggregatedDiskDataWritten": int(WRITTEN_MB_PER_S * ran_s) if used else None,
        "NetworkMeteredTrafficReport": _traffic(vm, ran_s),
    }
    return NetObject("VMMeteringReportForVirtualMachine", properties)


def _traffic(vm: Vm, ran_s: float) -> Found:
    """One line for each card, address and direction; a card that has carried nothing yet has none."""
    rates = {"Inbound": RECEIVED_MB_PER_S, "Outbound": SENT_MB_PER_S}
    return [
        NetObject(
            "VMPortAclMeteringReport",
            {
                "LocalAddress": None,
                "RemoteAddress": address,
                "Direction": direction,
                "TotalTraffic": int(rate * ran_s),
            },
        )
        for _ in vm.adapters
        for address in ADDRESSES
        for direction, rate in rates.items()
        if ran_s > 0
    ]
