"""Alembic migrations of the application's tables."""
