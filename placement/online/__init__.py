"""The online kernel: one request after another finds a place in microseconds, every rule kept up to date as they come and go.

`Online` is built from a problem; its constraints say their rules in the primitives of `placement.kernel`.
"""

from placement.online.consolidate import consolidate
from placement.online.online import Online

__all__ = ["Online", "consolidate"]
