"""Endpoints that are down, refuse the password, or cannot be asked at all: before anything is placed."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from connectors.drivers.simulated import control
from connectors.drivers.simulated.faults import FaultKind
from connectors.registry import driver_names
from tierwise.app import wire
from tierwise.jobs.runtime import running
from tierwise.store.views import EndpointView
from tierwise.usecases.doctor import Verdict, examine
from tierwise.usecases.inventory import inventory
from tierwise.usecases.observe import age, observe
from tierwise.usecases.order import quote
from tierwise.usecases.place import estate as as_planned

XEN = "hosted-xen"
PASSWORD = "correct-horse-battery"
VARIABLE = "TIERWISE_TEST_XEN_PASSWORD"


def reasons(acme: Any, row: Any) -> dict[str, str]:
    return {why.pool: why.why for why in acme.why(row)}


def test_orders_go_elsewhere_while_an_endpoint_is_down_and_come_back_with_it(acme: Any) -> None:
    assert acme.deliver("shop-01").pool == "hosted-nl"
    # Its session breaks, and no new one opens: once for the session that is open, then for new ones.
    acme.fault(XEN, "probe", FaultKind.UNREACHABLE)
    acme.fault(XEN, "open", FaultKind.UNREACHABLE)
    assert acme.deliver("shop-02").tier == "tier-2"
    assert acme.deliver("shop-03").tier == "tier-2"
    assert acme.deliver("shop-04").pool == "hosted-nl"


def test_an_order_that_only_the_endpoint_that_is_down_could_take_says_so_with_its_age(acme: Any) -> None:
    acme.deliver("shop-01")
    acme.clock.advance(timedelta(minutes=7))
    acme.fault(XEN, "probe", FaultKind.UNREACHABLE, why="no route to host")
    (row,) = acme.submit(acme.order("shop-02", tier="tier-3"))
    assert row.status == "refused"
    found = reasons(acme, row)
    assert set(found) == set(acme.app.documents.catalog.pools)
    # The endpoint's reason comes first; the others say that the requester insisted on tier 3.
    first = next(why for why in acme.why(row) if why.pool == "hosted-nl")
    assert first.why == (
        "endpoint 'hosted-xen' last seen 7 min ago: probe at endpoint 'hosted-xen': no route to host"
    )
    assert first.remedy == "`tierwise doctor` says what is wrong with endpoint 'hosted-xen'"
    assert inventory(acme.app).stale == {
        XEN: "last seen 7 min ago, probe at endpoint 'hosted-xen': no route to host"
    }


@pytest.mark.parametrize(
    ("since", "words"),
    [
        (timedelta(minutes=-5), "less than a minute ago"),  # the clock was put back
        (timedelta(seconds=59), "less than a minute ago"),
        (timedelta(minutes=119), "119 min ago"),
        (timedelta(minutes=120), "2 h ago"),
        (timedelta(hours=47, minutes=59), "47 h ago"),
        (timedelta(days=45, hours=11), "45 days ago"),
    ],
)
def test_how_long_an_endpoint_is_gone_is_told_in_a_unit_for_people(since: timedelta, words: str) -> None:
    seen = datetime(2026, 10, 1, tzinfo=UTC)
    view = EndpointView(endpoint=XEN, tried_at=seen, seen_at=seen)
    assert age(view, seen + since) == f"last seen {words}"


def test_with_every_endpoint_down_from_the_first_day_an_order_still_gets_every_reason(acme: Any) -> None:
    for name in acme.app.endpoints.names:
        acme.fault(name, "open", FaultKind.UNREACHABLE, times=9)
    (row,) = acme.submit(acme.order("shop-01"))
    assert row.status == "refused"
    found = reasons(acme, row)
    assert set(found) == set(acme.app.documents.catalog.pools)
    assert "endpoint 'hosted-xen' was never reached: open at endpoint 'hosted-xen'" in found["hosted-nl"]
    assert as_planned(acme.app).pools == ()
    assert quote(acme.app, as_planned(acme.app), acme.order("shop-02")).assignment.pool is None


@pytest.mark.parametrize(
    ("resting", "verdict", "said"),
    [
        (0, None, ""),
        (1, Verdict.NOTE, "1 of 2 hosts takes no machines"),
        (2, Verdict.BAD, "2 of 2 hosts take no machines"),
    ],
)
def test_hosts_that_take_no_machines_are_found(
    estate: Any, resting: int, verdict: Verdict | None, said: str
) -> None:
    acme = estate(hosts=2, hosts_in_maintenance=resting)
    found = [f for f in examine(acme.settings) if f.subject == "pool hosted-nl"]
    assert [f.verdict for f in found] == ([] if verdict is None else [verdict])
    assert all(f.text.startswith(said) and "hosted-nl-host-2" in f.text for f in found)


def with_secret(acme: Any, reference: str | None) -> Any:
    """The same data directory, whose Xen endpoint takes its password from elsewhere."""
    file = acme.settings.catalog_dir / "endpoints.yaml"
    document = yaml.safe_load(file.read_text())
    document["endpoints"][XEN]["secret"] = reference
    file.write_text(yaml.safe_dump(document))
    return wire(acme.settings, acme.clock)


def everything_said(app: Any, settings: Any) -> str:
    observe(app)
    found = [repr(app.documents), repr(app.endpoints.get(XEN)), str(inventory(app).stale)]
    return "\n".join([*found, *(f"{f.subject} {f.text}" for f in examine(settings))])


def test_a_wrong_password_is_refused_with_what_to_check_and_never_shown(
    estate: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    acme = estate()
    control.set_password(acme.address(XEN), SecretStr(PASSWORD))
    monkeypatch.setenv(VARIABLE, "wrong-but-secret")
    app = with_secret(acme, f"env:{VARIABLE}")
    with caplog.at_level(logging.DEBUG):
        said = everything_said(app, acme.settings)
    app.close()
    assert "open at endpoint 'hosted-xen': the password is wrong; check the endpoint's secret" in said
    for text in (said, caplog.text, acme.settings.database.read_bytes().decode("latin-1")):
        assert "wrong-but-secret" not in text
        assert PASSWORD not in text


def test_the_right_password_opens_the_same_endpoint(
    estate: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    acme = estate()
    control.set_password(acme.address(XEN), SecretStr(PASSWORD))
    monkeypatch.setenv(VARIABLE, PASSWORD)
    (tmp_path / "password").write_text(PASSWORD + "\n")
    for reference in (f"env:{VARIABLE}", f"file:{tmp_path / 'password'}"):
        app = with_secret(acme, reference)
        assert observe(app)[XEN].error is None
        app.close()


@pytest.mark.parametrize(
    ("reference", "what"),
    [
        (f"env:{VARIABLE}", f"the environment variable {VARIABLE}, which is not set"),
        ("file:/nonexistent/password", "the file /nonexistent/password, which cannot be read"),
    ],
)
def test_a_secret_that_is_not_there_is_named_and_the_other_endpoints_go_on(
    estate: Any, reference: str, what: str
) -> None:
    acme = estate()
    app = with_secret(acme, reference)
    assert f"endpoint 'hosted-xen' takes its password from {what}" in everything_said(app, acme.settings)
    with running(app):
        from tierwise.usecases.order import submit

        (row,) = submit(app, acme.batch_id("x"), [acme.order("shop-01")])
        assert (row.status, row.tier) == ("delivered", "tier-2")
    app.close()


def test_a_driver_that_is_not_installed_is_named_and_the_other_endpoints_go_on(estate: Any) -> None:
    acme = estate()
    file = acme.settings.catalog_dir / "endpoints.yaml"
    file.write_text(file.read_text().replace("driver: simulated", "driver: hypervz", 1))
    app = wire(acme.settings, acme.clock)
    seen = observe(app)
    errors = [view.error for view in seen.values() if view.error]
    app.close()
    assert len(seen) == 4
    (error,) = errors
    assert f"no driver 'hypervz' is installed; there are: {', '.join(driver_names())}" in error


def test_an_endpoint_whose_folder_is_gone_is_unreachable_and_not_a_crash(estate: Any) -> None:
    acme = estate()
    file = acme.settings.catalog_dir / "endpoints.yaml"
    file.write_text(file.read_text().replace("hosted-xen.sqlite", "gone/hosted-xen.sqlite"))
    app = wire(acme.settings, acme.clock)
    assert "no estate can be opened at" in str(observe(app)[XEN].error)
    app.close()
