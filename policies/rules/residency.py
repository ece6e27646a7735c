"""Residency: the countries and sites where machines may stand."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field, model_validator

from catalog.base import CountryCode, Name
from catalog.catalog import Catalog
from catalog.wording import known_names
from policies.facts import PoolFacts
from policies.rule import Finding, PoolRule


class Residency(PoolRule):
    """A pool will do if its country is listed, or if its site is."""

    kind: Literal["residency"]
    countries: tuple[CountryCode, ...] = Field(default=(), description="ISO 3166-1 codes: [DE, AT].")
    sites: tuple[Name, ...] = Field(default=(), description="Single sites, on top of the countries.")

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not self.countries and not self.sites:
            msg = "needs at least one country or site; with none, nothing could run anywhere"
            raise ValueError(msg)
        return self

    def mistakes(self, catalog: Catalog) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Sites that do not exist, or that their country allows already."""
        for i, name in enumerate(self.sites):
            site = catalog.sites.get(name)
            if site is None:
                yield ("sites", i), f"unknown site '{name}'; {known_names(name, catalog.sites)}"
            elif site.country in self.countries:
                yield (
                    ("sites", i),
                    (
                        f"site '{name}' is in {site.country}, which countries allows as a whole; "
                        f"remove the site, or remove {site.country} to allow only the sites"
                    ),
                )

    def findings(self, pool: PoolFacts, catalog: Catalog) -> Iterator[Finding]:
        """Where the pool stands, if that is neither a listed country nor a listed site."""
        if pool.country in self.countries or (self.sites and pool.site in self.sites):
            return
        places = " or ".join((*self.countries, *self.sites))
        yield Finding(
            dimension="country" if self.countries else "site",
            limit=places,
            need=pool.country if self.countries else pool.site,
            claim=f"these machines must stay in {places}",
            fact=f"{pool.name} is in {pool.country}" + (f", site {pool.site}" if self.sites else ""),
            remedy=f"choose a pool in {places}",
        )
