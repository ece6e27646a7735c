"""What tierwise remembers: tables by SQLModel, migrations by Alembic, usage in Parquet.

Tables stay in this package: a ``table=True`` class does not validate in its constructor, so they
are not domain types.
"""
