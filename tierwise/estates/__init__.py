"""Estates in and out: exports of other tools, our own documents, the live inventory, and what machines used."""

from tierwise.estates.reading import read
from tierwise.estates.writing import write

__all__ = ["read", "write"]
