"""XenServer and XCP-ng: one pool, by the XenAPI of its master and the project's own binding XenAPI.

Importing this package imports no vendor library, so its table of gaps can be read anywhere.
"""

from connectors.drivers.xen.connector import XenConnector

__all__ = ["XenConnector"]
