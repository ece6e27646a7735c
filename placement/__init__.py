"""PlacementProblem -> Plan: which pool takes which request, at what cost, and why not elsewhere.

The only package that imports ortools and numba. No clock, no database, no hypervisor: values in, values out.
"""
