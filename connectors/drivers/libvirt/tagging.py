"""Tags of a machine: its annotations, in its metadata.

libvirt has no tags that its clients share. Each tool keeps what it says of a machine under a namespace of its own in
the definition's metadata, and so does this driver: virsh metadata shows it, and others' namespaces stay as they are.
"""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from connectors.contract import changed_tags
from connectors.drivers.libvirt import documents, names, views


def read(domain: Any) -> Mapping[str, str]:
    """The annotations of a machine of ours. Raises libvirtError."""
    return _mark(domain).annotations


def change(vendor: Any, domain: Any, changes: Mapping[str, str]) -> None:
    """Write other annotations, live and for the next start; nothing where they are so. Raises libvirtError."""
    before = _mark(domain)
    after = changed_tags(before.annotations, changes)
    if after == before.annotations and _kept(vendor, domain) == before:
        return
    element = ET.Element("machine")
    element.text = names.mark_text(before.name, after, UUID(domain.UUIDString()))
    flags = vendor.VIR_DOMAIN_AFFECT_CONFIG
    if domain.isActive():
        flags |= vendor.VIR_DOMAIN_AFFECT_LIVE
    kind = vendor.VIR_DOMAIN_METADATA_ELEMENT
    domain.setMetadata(kind, documents.text_of(element), names.PREFIX, names.NAMESPACE, flags)


def _mark(domain: Any) -> names.Mark:
    found = views.mark(documents.parse(domain.XMLDesc(0)))
    assert found is not None, f"machine {domain.UUIDString()} is not one of ours"
    return found


def _kept(vendor: Any, domain: Any) -> names.Mark | None:
    """What the machine says of itself after its next start, which a call that was cut off may not have reached."""
    return views.mark(documents.parse(domain.XMLDesc(vendor.VIR_DOMAIN_XML_INACTIVE)))
