"""The connector contract as tests: what a driver does not declare missing must pass these.

A driver's test file is one class, named ``Test...``, with one fixture::

    class TestKvm(ConnectorConformance):
        @pytest.fixture
        def endpoint(self, libvirtd):
            return Endpoint(name="kvm", driver="libvirt", address=libvirtd.address, timeout_s=10)

Everything else has a default that fits most counterparts, or skips with the reason. What may be
overridden stands in `tierwise.testing.promises.base.Counterpart`. The suite wants the counterpart
for itself while it runs, and removes what it made.
"""

from tierwise.testing.promises.adding import AddingPromises
from tierwise.testing.promises.base import Counterpart
from tierwise.testing.promises.connection import ConnectionPromises
from tierwise.testing.promises.disks import DiskPromises
from tierwise.testing.promises.feeds import FeedPromises, MigrationPromises
from tierwise.testing.promises.lifecycle import LifecyclePromises
from tierwise.testing.promises.operations import OperationPromises
from tierwise.testing.promises.races import RacePromises
from tierwise.testing.promises.removing import RemovingPromises
from tierwise.testing.promises.reporting import ReportingPromises
from tierwise.testing.promises.templates import TemplatePromises
from tierwise.testing.promises.wire import WirePromises

__all__ = ["ConnectorConformance", "Counterpart"]


class ConnectorConformance(
    ConnectionPromises,
    ReportingPromises,
    LifecyclePromises,
    OperationPromises,
    TemplatePromises,
    RacePromises,
    AddingPromises,
    RemovingPromises,
    DiskPromises,
    FeedPromises,
    MigrationPromises,
    WirePromises,
):
    """All promises of the contract; subclass it once for each counterpart."""
