"""VMware vSphere: vCenter Server, by its SOAP API (vim25) and the vendor's library pyvmomi.

Importing this package imports no vendor library, so its table of gaps can be read anywhere.
"""

from connectors.drivers.vsphere.connector import VsphereConnector

__all__ = ["VsphereConnector"]
