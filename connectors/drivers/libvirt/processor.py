"""What the host's processor can do, and what machines on it are given of that."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from connectors.drivers.libvirt import documents

_X86 = frozenset({"x86_64", "i686"})

_TRAITS: Mapping[str, str] = MappingProxyType(
    {
        **{name: name.upper() for name in ("3dnow", "abm", "avx", "avx2", "bmi2", "f16c", "fma4", "mmx")},
        **{
            name: name.upper()
            for name in ("mpx", "sse", "sse2", "sse4a", "ssse3", "svm", "tbm", "vmx", "xop")
        },
        **{name: name.upper() for name in ("avx512f", "avx512cd", "avx512pf", "avx512er", "avx512vl")},
        **{
            name: name.upper()
            for name in ("avx512bw", "avx512dq", "avx512vnni", "avx512vbmi", "avx512vbmi2")
        },
        **{name: name.upper() for name in ("avx512bitalg", "pdpe1gb", "stibp")},
        "aes": "AESNI",
        "avx512ifma": "AVX512IFMA",
        "bmi1": "BMI",
        "fma": "FMA3",
        "pclmuldq": "CLMUL",
        "pni": "SSE3",
        "rtm": "TSX",
        "sha-ni": "SHA",
        "sse4.1": "SSE41",
        "sse4.2": "SSE42",
    }
)
"""libvirt's names of features and those of OpenStack's os-traits, which have ``HW_CPU_X86_`` before them."""


def virtualizes(vendor: Any, connection: Any) -> bool:
    """Whether the host's processor virtualizes; on x86 `/dev/kvm` and the daemon may say so wrongly.

    Some hosts, virtual ones above all, offer KVM without the processor's vmx or svm; machines then
    hang in their firmware. The daemon expands the host's CPU model into its whole list of features.
    """
    cpu = documents.parse(connection.getCapabilities()).find("host/cpu")
    if cpu is None or cpu.findtext("arch") not in _X86:
        return True
    return bool(_features(vendor, connection, cpu) & {"vmx", "svm"})


def topology(connection: Any) -> tuple[int, int]:
    """Sockets and physical cores of the host; zeros where the daemon does not say where its processors are.

    `getInfo` would not do: where its product is not the number of processors, it says one socket of single threads.
    """
    cpus = documents.parse(connection.getCapabilities()).findall("host/topology/cells/cell/cpus/cpu")
    if not cpus or not all({"socket_id", "siblings"} <= one.attrib.keys() for one in cpus):
        return 0, 0
    return len({one.attrib["socket_id"] for one in cpus}), len({one.attrib["siblings"] for one in cpus})


def traits(
    vendor: Any, connection: Any, arch: str, domain_type: str, emulator: str | None
) -> frozenset[str]:
    """What new machines find in their processor, as os-traits names it; nothing where that is not x86."""
    if arch not in _X86 or domain_type not in {"kvm", "qemu"}:
        return frozenset()
    cpu = ET.Element("cpu")
    ET.SubElement(cpu, "arch").text = arch
    model = ET.SubElement(cpu, "model")
    model.text = documents.EMULATED_MODEL
    withheld: set[str] = set()
    if domain_type == "kvm":
        offered = documents.parse(connection.getDomainCapabilities(emulator, arch, None, domain_type))
        mode = offered.find("cpu/mode[@name='host-model']")
        if mode is None or mode.findtext("model") is None:
            return frozenset()
        model.text = mode.findtext("model")
        for feature in mode.findall("feature"):
            if feature.get("policy") == "disable":
                withheld.add(feature.get("name", ""))
            else:
                ET.SubElement(cpu, "feature", name=feature.get("name", ""))
    found = _features(vendor, connection, cpu) - withheld
    return frozenset(f"HW_CPU_X86_{_TRAITS[name]}" for name in found if name in _TRAITS)


def _features(vendor: Any, connection: Any, cpu: ET.Element) -> set[str]:
    """All features of a model and those beside it; only these where the daemon cannot expand the model."""
    text = documents.text_of(cpu)
    with suppress(vendor.libvirtError):
        text = connection.baselineCPU([text], vendor.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES)
    return {feature.get("name", "") for feature in documents.parse(text).iter("feature")}
