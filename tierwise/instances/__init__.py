"""Kinds of placement instances that files hold; a kind is a module here with the kind's name.

Such a module has `solve(columns, effort) -> Solved`. A new kind is a new file.
"""
