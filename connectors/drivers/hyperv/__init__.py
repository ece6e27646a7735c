"""Microsoft Hyper-V: one host or failover cluster, by its own PowerShell cmdlets over WinRM.

Importing this package imports no vendor library, so its table of gaps can be read anywhere.
"""

from connectors.drivers.hyperv.connector import HypervConnector

__all__ = ["HypervConnector"]
