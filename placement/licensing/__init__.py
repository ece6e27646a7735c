"""Licences: products as data, what they cost a finished plan, and the same as rows and primitives for solvers."""
