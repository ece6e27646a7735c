"""From where machines are to where they shall be: moves in an order that is feasible at every step, in waves.

`order.order(problem)` finds the order, `waves.waves(problem, carriage, calendar)` puts it into waves with times,
and `verify` replays both without sharing any code with them. Reference: docs/reference/waves.md.
"""
