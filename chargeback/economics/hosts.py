"""What one host costs: what runs on as long as it stands, and what is written off of its purchase."""

from collections.abc import Iterable, Iterator
from datetime import date
from fractions import Fraction

from chargeback.economics.document import Economics
from chargeback.economics.finding import host_type_of, site_of
from chargeback.economics.matching import HostFacts, PoolFacts
from chargeback.economics.sections import Network
from chargeback.economics.spreading import HOURS, HUNDRED, KILO, nothing, priced, written_off
from chargeback.economics.trace import Factor, Line, Part, Recurring, Span, Use, resolved
from chargeback.money import exact_text


class HostLines:
    """What a document says of one host."""

    def __init__(self, economics: Economics, host: HostFacts, bought_on: date | None = None) -> None:
        """`bought_on` is when it is bought, where that is not what the document says of its type."""
        self.economics = economics
        self.host = host
        self.type = host_type_of(economics, host)
        self._new_on = bought_on
        self._bought_on = bought_on or self.type.bought_on
        self.site = site_of(economics, host.site)
        self.region = host.region or (self.site.region if self.site else None)
        self._at = f"host_types.{self.type.name}"
        self._sizes = {
            "purchase_price": Factor("hosts", Fraction(1)),
            "purchase_per_core": Factor("cores", Fraction(host.cores)),
            "purchase_per_memory_gib": Factor("memory in GiB", Fraction(host.memory_mib, 1024)),
        }

    def running(self) -> Iterator[Recurring]:
        """What is paid for it as long as it stands there."""
        yield from self._maintained()
        yield from self._powered()
        yield from self._handled()
        network, facilities = self.economics.network, self.economics.facilities
        yield from priced(
            "network", "kept", "network", "network", network.per_host_per_month, field="per_host_per_month"
        )
        if network.purchase_percent_of_host and network.maintenance_percent_per_year:
            for price in self._of_network(network, self._paid()):
                percent = Use(
                    "network.maintenance_percent_per_year",
                    network.maintenance_percent_per_year,
                    "maintenance in percent a year",
                )
                yield Recurring("network", "kept", "maintenance of network", (*price, percent, HUNDRED), 12)
        yield from priced(
            "facilities", "kept", "facilities", "facilities", facilities.per_host_per_month, field="per_host_per_month"
        )  # fmt: skip
        if self.site and self.site.space_per_host_per_month is not None:
            at = f"sites.{self.site.name}"
            space = self.site.space_per_host_per_month
            yield from priced("space", "kept", "space", at, space, field="space_per_host_per_month")
        pool = PoolFacts(self.host.pool, self.host.hypervisor, self.host.site)
        for other in self.economics.other:
            if other.per == "host" and other.match.has(pool):
                at = f"other.{other.name}"
                yield from priced(other.term, "kept", other.name, at, other.per_month, other.per_year)

    def purchases(self, span: Span) -> Iterator[Line]:
        """What is written off: of a host that is bought for this, else at the start, and of one that was bought once."""
        kind = self.type
        if kind.depreciation_months is not None:
            life = Use(
                f"{self._at}.depreciation_months", kind.depreciation_months, "depreciation in months"
            )
            yield from self._written_off("hardware", "purchase", self._prices(), life, span)
        network = self.economics.network
        if network.purchase_percent_of_host is not None and network.depreciation_months is not None:
            life = Use("network.depreciation_months", network.depreciation_months, "depreciation in months")
            yield from self._written_off(
                "network", "network bought with it", self._of_network(network, self._prices()), life, span
            )

    def _written_off(
        self, term: str, what: str, prices: Iterable[tuple[Part, ...]], life: Use, span: Span
    ) -> Iterator[Line]:
        for price in prices:
            new_on = self._new_on or span.start
            yield from written_off(term, "bought", what, price, life, span, new_on, self.region)
            if self.type.bought_on is not None:
                yield from written_off(
                    term, "sunk", what, price, life, span, self.type.bought_on, self.region
                )

    def _paid(self) -> Iterator[tuple[Part, ...]]:
        """What was paid for it: by the price of the day when it was bought, if that is known."""
        day = self._bought_on
        yield from (price if day is None else resolved(price, day, self.region) for price in self._prices())

    def _prices(self) -> Iterator[tuple[Part, ...]]:
        for name in self.type.purchases:
            yield (
                Use(f"{self._at}.{name}", getattr(self.type, name), name.replace("_", " ")),
                self._sizes[name],
            )

    @staticmethod
    def _of_network(network: Network, prices: Iterable[tuple[Part, ...]]) -> Iterator[tuple[Part, ...]]:
        assert network.purchase_percent_of_host is not None, network
        percent = Use(
            "network.purchase_percent_of_host", network.purchase_percent_of_host, "percent of the host"
        )
        yield from ((*price, percent, HUNDRED) for price in prices)

    def _maintained(self) -> Iterator[Recurring]:
        kind = self.type
        yield from priced(
            "maintenance",
            "kept",
            "maintenance",
            self._at,
            None,
            kind.maintenance_per_year,
            per_year="maintenance_per_year",
        )
        if kind.maintenance_percent_per_year is not None:
            path = f"{self._at}.maintenance_percent_per_year"
            percent = Use(path, kind.maintenance_percent_per_year, "maintenance in percent a year")
            for price in self._paid():
                yield Recurring("maintenance", "kept", "maintenance", (*price, percent, HUNDRED), 12)

    def _powered(self) -> Iterator[Recurring]:
        kind, site = self.type, self.site
        full, drawn = self._watts()
        if drawn and (site is None or site.price_per_kwh is None):
            yield nothing("power", "kept", f"no price_per_kwh of the site '{self.host.site}'")
        elif drawn and site and site.price_per_kwh is not None:
            price = Use(f"sites.{site.name}.price_per_kwh", site.price_per_kwh, "price of a kWh")
            pue = () if site.pue is None else (Use(f"sites.{site.name}.pue", site.pue, "PUE"),)
            seen = tuple(
                figure for figure in (kind.watts_idle, kind.watts_full, kind.load_percent) if figure
            )
            yield Recurring("power", "kept", "power", (*drawn, KILO, HOURS, *pue, price), figures=seen)
        reserved = self.economics.facilities.per_kw_per_month
        if full and reserved is not None:
            price = Use("facilities.per_kw_per_month", reserved, "price of a kW a month")
            yield Recurring("facilities", "kept", "power that is kept for it", (*full, KILO, price))

    def _watts(self) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
        """What it draws at full load, and as it runs."""
        kind = self.type
        if kind.watts_per_core is not None:
            each = Use(f"{self._at}.watts_per_core", kind.watts_per_core, "watts of a core")
            both: tuple[Part, ...] = (each, Factor("cores", Fraction(self.host.cores)))
            return both, both
        if kind.watts_idle is None or kind.watts_full is None:
            return (), ()
        return (Use(f"{self._at}.watts_full", kind.watts_full, "watts at full load"),), (self._loaded,)

    def _loaded(self, day: date | None, region: str | None) -> Factor:
        """Watts between idle and full: ``idle + (full - idle) * load``."""
        kind = self.type
        assert kind.watts_idle is not None, kind
        assert kind.watts_full is not None, kind
        idle = Use(f"{self._at}.watts_idle", kind.watts_idle, "idle").on(day, region)
        full = Use(f"{self._at}.watts_full", kind.watts_full, "full").on(day, region)
        load = Fraction(100)
        if kind.load_percent is not None:
            load = Use(f"{self._at}.load_percent", kind.load_percent, "load").on(day, region).value
        watts = idle.value + (full.value - idle.value) * load * Fraction(1, 100)
        ends = f"{exact_text(idle.value)} and {exact_text(full.value)}"
        what = f"watts at {exact_text(load)} % between {ends}"
        return Factor(
            what, watts, idle.path, idle.source, idle.evidence, assumed=idle.assumed or full.assumed
        )

    def _handled(self) -> Iterator[Recurring]:
        labour, kind = self.economics.labour, self.type
        if labour.cost_per_hour is None:
            return
        hour = Use("labour.cost_per_hour", labour.cost_per_hour, "cost of an hour")
        if kind.labour_hours_per_month is not None:
            hours = Use(f"{self._at}.labour_hours_per_month", kind.labour_hours_per_month, "hours a month")
            yield Recurring("labour", "kept", "labour", (hours, hour))
        elif labour.hosts_per_admin is not None and labour.hours_per_month is not None:
            worked = Use("labour.hours_per_month", labour.hours_per_month, "hours of an administrator")
            each = Use(
                "labour.hosts_per_admin", labour.hosts_per_admin, "hosts per administrator", divides=True
            )
            yield Recurring("labour", "kept", "labour", (hour, worked, each))
