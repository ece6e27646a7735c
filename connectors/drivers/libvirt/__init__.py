"""KVM and QEMU machines through libvirt, by the vendor's library libvirt-python.

Importing this package imports no vendor library, so its table of gaps can be read anywhere. The
vendor's module is also called ``libvirt``; imports here are absolute, so the two never meet.
"""

from connectors.drivers.libvirt.connector import LibvirtConnector

__all__ = ["LibvirtConnector"]
