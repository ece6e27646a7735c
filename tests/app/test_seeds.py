"""Seeds that orders name: checked before anything is ordered, decisive for the place, and nowhere in the books."""

from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest

from connectors.contract import Seed
from tierwise import seeds
from tierwise.errors import InvalidInput
from tierwise.store.tables import OrderRow
from tierwise.usecases import move
from tierwise.usecases.order import new_order, submit

SECRET = "hunter2-of-a-guest"


def seeded(acme: Any, seed: str | None = "web") -> Any:
    return new_order(
        acme.app,
        order_id=uuid5(UUID(int=0), "shop-01"),
        offering="web-small",
        tenant="web-shop",
        machine_name="shop-01",
        parameters={},
        tier=None,
        ordered_by="a test",
        seed=seed,
    )


def write(acme: Any, name: str = "web", **files: str) -> Path:
    folder = Path(acme.settings.seeds_dir / name)
    folder.mkdir(parents=True)
    for file, text in (files or {"user_data": f"#cloud-config\npassword: {SECRET}\n"}).items():
        (folder / file.replace("_", "-")).write_text(text)
    return folder


def test_an_order_with_a_seed_goes_only_where_seed_disks_are_made(acme: Any) -> None:
    write(acme)
    (row,) = submit(acme.app, UUID(int=1), [seeded(acme)])
    assert row.status == "refused"
    assert {one.rule_id for one in acme.why(row)} >= {"order seed"}
    assert "the order's seed needs seed_disk" in row.why
    (other,) = submit(acme.app, UUID(int=2), [acme.order("shop-02")])
    assert other.status == "delivered", "without a seed the same pools take it"


def test_what_stands_in_a_seed_is_nowhere_in_the_database(acme: Any) -> None:
    write(acme)
    submit(acme.app, UUID(int=1), [seeded(acme)])
    kept = b"".join(file.read_bytes() for file in acme.settings.data_dir.glob("*.sqlite*"))
    assert b"shop-01" in kept
    assert SECRET.encode() not in kept


def test_an_unknown_seed_is_refused_with_those_there_are_and_nothing_is_ordered(acme: Any) -> None:
    write(acme, "database")
    with pytest.raises(InvalidInput) as caught:
        submit(acme.app, UUID(int=1), [seeded(acme)])
    (said,) = caught.value.details
    assert "seed 'web' has no file" in said
    assert said.endswith("there are: database")
    assert acme.rows("SELECT * FROM order_") == []


def test_a_seed_is_read_with_its_network_configuration(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web/user-data").write_text("#cloud-config\nhostname: größe\n", encoding="utf-8")
    assert seeds.read(tmp_path, "web") == Seed(user_data="#cloud-config\nhostname: größe\n")
    (tmp_path / "web/network-config").write_text("version: 2\n")
    assert seeds.read(tmp_path, "web").network_config == "version: 2\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "at least 1 character"),
        (b"x" * (256 * 1024 + 1), "at most 262144"),
        (b"\xff\xfe", "save it as UTF-8"),
    ],
    ids=["empty", "too long", "no text"],
)
def test_a_seed_that_no_disk_could_hold_is_named_without_its_content(
    tmp_path: Path, text: bytes, said: str
) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web/user-data").write_bytes(text)
    with pytest.raises(InvalidInput, match=said) as caught:
        seeds.read(tmp_path, "web")
    assert "xxx" not in str(caught.value)


def test_a_name_that_leads_out_of_the_folder_is_no_seed(acme: Any) -> None:
    with pytest.raises(InvalidInput, match="not valid"):
        seeded(acme, "../catalog")


def test_a_move_says_that_the_new_pool_makes_no_seed_disk(acme: Any) -> None:
    row = acme.deliver("shop-01")
    with acme.app.session() as session:
        order = session.get_one(OrderRow, row.id)
        order.request = order.request.replace('"seed":null', '"seed":"web"')
        session.add(order)
        session.commit()
    pools = acme.app.documents.catalog.pools.values()
    here = acme.app.documents.catalog.pools[row.pool]
    target = next(pool.name for pool in pools if pool.endpoint != here.endpoint)
    lines = [
        line for line in move.preflight(acme.app, "shop-01", target).lines if line.subject == "seed disk"
    ]
    ((kind, text),) = [(line.kind.value, line.text) for line in lines]
    assert kind == move.Kind.CHANGES.value
    assert text.startswith(f"{target} makes none: simulated machines run nothing")
