"""The only package that talks to hypervisors: one contract, one driver file per hypervisor.

Vendor libraries are imported when a driver is opened, never when its module is, so that the
capability table is whole on a machine where no vendor library is installed.
"""
