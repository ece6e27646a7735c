"""Counterparts that speak a hypervisor's real protocol, for trying things out and for tests."""
