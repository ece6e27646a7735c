"""Wrong catalogs, rules and rate cards: every mistake with its file and line, and nothing is loaded."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tierwise.documents import MAX_FILE_BYTES, load, read_texts
from tierwise.errors import ExitCode, InvalidInput
from tierwise.usecases.init import example_dir


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    """A copy of the worked example, to be spoilt."""
    return shutil.copytree(example_dir("acme"), tmp_path / "acme")


def spoil(folder: Path, file: str, old: str, new: str) -> int:
    """Write `new` for the first `old`; gives the line it stands on."""
    text = (folder / file).read_text()
    assert old in text, f"{old} is not in {file} any more"
    (folder / file).write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1 + (len(old) - len(old.lstrip("\n")))


def problems(folder: Path) -> list[str]:
    with pytest.raises(InvalidInput, match="nothing was loaded") as caught:
        load(folder)
    assert caught.value.exit_code is ExitCode.INVALID
    assert str(len(caught.value.details)) in str(caught.value)
    return list(caught.value.details)


def one(folder: Path, file: str, line: int) -> str:
    """The only problem, which must name the file and the line."""
    (problem,) = problems(folder)
    assert re.search(rf"{re.escape(file)}:{line}\b", problem), problem
    return problem


def test_the_worked_example_has_no_problem(acme: Path) -> None:
    documents = load(acme)
    assert documents.rate_card.currency == "EUR"
    assert documents.rules


def test_broken_yaml_is_named_by_its_line(acme: Path) -> None:
    line = spoil(acme, "tenants.yaml", "    title: Payroll", "    title: [Payroll")
    found = problems(acme)
    assert any(re.search(rf"tenants\.yaml:({line}|{line + 1})\b", problem) for problem in found), found


def test_an_unknown_class_is_named(acme: Path) -> None:
    line = spoil(acme, "catalog.yaml", "    workload_class: database", "    workload_class: databse")
    problem = one(acme, "catalog.yaml", line)
    assert "databse" in problem
    assert "database" in problem.replace("databse", ""), "it says which there are"


def test_an_impossible_size_is_named(acme: Path) -> None:
    line = spoil(acme, "catalog.yaml", "small: {vcpu: 4,", "small: {vcpu: -4,")
    assert "vcpu" in one(acme, "catalog.yaml", line)


@pytest.mark.parametrize("size", ["4.5", "'4'", "true", "1e3", "many"])
def test_a_size_that_is_no_count_is_named(acme: Path, size: str) -> None:
    line = spoil(acme, "catalog.yaml", "small: {vcpu: 4,", f"small: {{vcpu: {size},")
    assert "vcpu" in one(acme, "catalog.yaml", line)


def test_a_negative_price_is_named(acme: Path) -> None:
    line = spoil(acme, "rates.yaml", "price: 0.0094", "price: -0.0094")
    problem = one(acme, "rates.yaml", line)
    assert "-0.0094" in problem or "negative" in problem


def test_two_rates_that_overlap_are_named_both(acme: Path) -> None:
    spoil(acme, "rates.yaml", ", replaces: [vcpu-tier-1]", "")
    found = "\n".join(problems(acme))
    assert "vcpu-tier-1-2026-10" in found
    assert re.search(r"vcpu-tier-1(?!-)", found)
    assert "rates.yaml:" in found


def test_an_unknown_tier_of_a_pool_is_named(acme: Path) -> None:
    line = spoil(acme, "pools.yaml", "    tier: tier-3", "    tier: tier-4")
    assert "tier-4" in one(acme, "pools.yaml", line)


def test_a_rule_with_a_misspelt_fact_is_named(acme: Path) -> None:
    spoil(acme, "rules.yaml", "request.workload_class == 'database'", "request.workload_clas == 'database'")
    found = "\n".join(problems(acme))
    assert "workload_clas" in found
    assert "db-tier-floor" in found or "rules.yaml:" in found


def test_a_password_in_place_of_its_reference_is_refused_and_not_repeated(acme: Path) -> None:
    spoil(acme, "endpoints.yaml", "secret: env:ACME_VCENTER_PASSWORD", "secret: hunter2-is-secret")
    found = "\n".join(problems(acme))
    assert "endpoints.yaml:" in found
    assert "hunter2" not in found


def test_all_mistakes_of_the_catalogs_files_are_reported_together(acme: Path) -> None:
    spoil(acme, "catalog.yaml", "    workload_class: database", "    workload_class: databse")
    spoil(acme, "catalog.yaml", "small: {vcpu: 4,", "small: {vcpu: -4,")
    spoil(acme, "pools.yaml", "    tier: tier-3", "    tier: tier-4")
    spoil(acme, "tenants.yaml", "cost_centre: sales", "cost_centre: sale")
    found = "\n".join(problems(acme))
    for word in ("databse", "vcpu", "tier-4", "'sale'"):
        assert word in found


def test_mistakes_in_rules_rates_and_catalog_are_reported_together(acme: Path) -> None:
    spoil(acme, "rules.yaml", "request.vcpu > 16", "request.vcpus > 16")
    spoil(acme, "rates.yaml", "price: 0.0094", "price: -0.0094")
    found = "\n".join(problems(acme))
    assert "rules.yaml:" in found
    assert "rates.yaml:" in found
    spoil(acme, "pools.yaml", "    tier: tier-3", "    tier: tier-4")
    found = "\n".join(problems(acme))
    # Rules and rates name what the catalog holds: on a wrong one they would seem wrong themselves.
    assert "pools.yaml:" in found
    with pytest.raises(InvalidInput, match="rules and rates are checked when the catalog is right"):
        load(acme)


@pytest.mark.parametrize(
    ("spoilt", "what"),
    [
        (b"\xff\xfe\x00tiers", "not UTF-8 text"),
        (b"#" * (MAX_FILE_BYTES + 1), "more than a catalog file may have"),
    ],
)
def test_a_file_that_is_no_text_or_too_long_is_named(acme: Path, spoilt: bytes, what: str) -> None:
    (acme / "tenants.yaml").write_bytes(spoilt)
    with pytest.raises(InvalidInput, match=f"tenants.yaml: .*{what}"):
        load(acme)


def test_a_folder_without_documents_or_a_path_without_a_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"holds no .yaml file; `tierwise init --example acme`"):
        load(tmp_path)
    with pytest.raises(InvalidInput, match=r"missing\.yaml: cannot be read: No such file"):
        load(tmp_path / "missing.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(InvalidInput, match=r"folder\.yaml: cannot be read: Is a directory"):
        load(tmp_path)


def test_a_catalog_without_a_rate_card_and_one_with_two_are_refused_when_prices_are_asked(
    acme: Path,
) -> None:
    (acme / "rates.yaml").rename(acme.parent / "rates.yaml")
    with pytest.raises(InvalidInput, match=r"exactly one rate card .* it holds none"):
        load(acme).rate_card  # noqa: B018 - asking is what raises
    text = (acme.parent / "rates.yaml").read_text()
    (acme / "rates.yaml").write_text(text)
    (acme / "rates-2.yaml").write_text(text.replace("acme-eur", "acme-usd"))
    with pytest.raises(InvalidInput, match="it holds acme-usd, acme-eur"):
        load(acme).rate_card  # noqa: B018 - as above


@pytest.fixture
def nobody() -> Iterator[None]:
    """A user who may read nothing of ours; root may read everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)


@pytest.fixture
def shut(tmp_path: Path) -> Path:
    folder = tmp_path / "catalog"
    folder.mkdir(mode=0o000)
    return folder


def test_a_folder_that_may_not_be_read_and_a_name_that_is_none_are_told_as_mistakes(
    shut: Path,
    nobody: None,
) -> None:
    with pytest.raises(InvalidInput, match="catalog: cannot be read: Permission denied"):
        read_texts(shut)
    with pytest.raises(InvalidInput, match="cannot be read: File name too long"):
        read_texts(Path("x" * 300))
