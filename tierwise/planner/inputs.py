"""What a what-if is asked of, as values; `sources` reads them from files."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from catalog.estates.classified import Classified
from catalog.estates.model import Estate
from catalog.resources import Resources
from catalog.workload_classes import WorkloadClass
from chargeback.economics.document import Economics
from chargeback.rates import RateCard


@dataclass(frozen=True)
class Inputs:
    """An estate, what things cost, and what is known of its machines."""

    estate: Estate
    economics: Economics
    classes: Mapping[str, WorkloadClass] = field(default_factory=dict)
    classified: Mapping[str, Classified] = field(default_factory=dict)
    """By machine; empty where nobody asked for classes."""
    used: Mapping[str, Resources] = field(default_factory=dict)
    """Right-sized machines, by id; empty where nobody asked."""
    rates: RateCard | None = None
    """By which tiers charge; None: nobody says."""
    notes: tuple[str, ...] = ()
