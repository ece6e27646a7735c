"""Which host of a pool takes which request, so that the hosts that must be switched on cost the least.

`solve.solve(problem, limits)` is the door. Reference: docs/reference/placement-hosts.md.
"""
