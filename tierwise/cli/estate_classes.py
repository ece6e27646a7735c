"""``tierwise estate classify`` and ``tierwise estate rightsize``."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierwise.cli.context import Context
from tierwise.cli.fields import Columns, Fields, Sort, view
from tierwise.cli.output import Format, Output, emit, note

if TYPE_CHECKING:
    from catalog.estates.classified import Classified
    from catalog.estates.model import Estate, EstateMachine
    from catalog.estates.sizing import Sized
    from tierwise.estates.utilization import Measured

CLASSES = Fields(
    {
        "id": "the machine's id in the estate",
        "machine": "its name",
        "class": "the workload class, or `label:` and what it is instead; empty: not known",
        "size": "the size of the class, or `as-is`",
        "vcpu": "virtual processors that it is planned with",
        "memory_mib": "memory in MiB that it is planned with",
        "disk_gib": "disk in GiB that it is planned with",
        "confidence": "from 0 to 1",
        "needs_eye": "`yes` where a person should look",
        "software": "what runs in it and has a licence",
        "reason": "which rule, what speaks against it, and how near the size is",
    },
    ("machine", "class", "size", "vcpu", "memory_mib", "confidence", "needs_eye"),
)

CLASS_COUNTS = Fields(
    {
        "class": "the workload class, or `label:` and what it is instead; empty: not known",
        "machines": "how many machines",
        "need_eye": "how many of them a person should look at",
        "vcpu": "virtual processors that they are planned with",
        "memory_mib": "memory in MiB that they are planned with",
        "disk_gib": "disk in GiB that they are planned with",
    },
    ("class", "machines", "need_eye", "vcpu", "memory_mib", "disk_gib"),
)

SIZES = Fields(
    {
        "id": "the machine's id in the estate",
        "machine": "its name",
        "activity": "`active`, `idle`, `zombie` (on, and using nothing), `off` or `unknown`",
        "vcpu_was": "virtual processors today",
        "vcpu": "virtual processors that it needs",
        "memory_mib_was": "memory in MiB today",
        "memory_mib": "memory in MiB that it needs",
        "confidence": "from 0 to 1: how far the samples reach what the policy wants",
        "reason": "what was used, and which bound of the policy was met",
    },
    ("machine", "activity", "vcpu_was", "vcpu", "memory_mib_was", "memory_mib", "confidence"),
)

EstateFile = Annotated[Path, typer.Argument(help="An estate of any kind that `estate import` reads.")]


def register(estate: typer.Typer) -> None:
    """Add the commands to the ``estate`` group."""
    estate.command()(classify)
    estate.command()(rightsize)


def classify(
    ctx: typer.Context,
    file: EstateFile,
    rules: Annotated[
        Path | None, typer.Option(help="The class rules; without this, those beside the catalog.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="A mapping that people have edited; it wins over the rules.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="Write the mapping here (CSV), those that need your eye first.")
    ] = None,
    catalog: Annotated[
        Path | None,
        typer.Option(help="A catalog file or folder; without this, that of the data directory."),
    ] = None,
    output: Output = Format.TABLE,
    columns: Columns = "",
    sort: Sort = "",
) -> None:
    """Give each machine of an estate a workload class and a size, with confidence and reason."""
    from catalog.estates.classifying import classify as classified
    from catalog.estates.mapping import write_mapping
    from tierwise.estates.classes import catalog_of, decisions_of, rules_of
    from tierwise.estates.text_files import replace

    context: Context = ctx.obj
    _must_keep(to, mapping)
    estate = context.read_estate(file)
    folder = catalog or context.settings().catalog_dir
    known = catalog_of(folder)
    of_rules = rules_of(rules, folder, known)
    decided = None if mapping is None else decisions_of(mapping, estate, known)
    found = classified(estate, of_rules, known.classes, decided.by_machine if decided else {})
    for line in decided.notes if decided else ():
        note(line)
    if to is not None:
        replace(to, write_mapping(estate, found))
    if output is Format.TABLE and not columns:
        emit(_counts(found), output, fields=CLASS_COUNTS, view=view("", sort))
    else:
        names = {one.id: one.name for one in estate.machines}
        rows = [_class_row(one, names[one.machine]) for one in found]
        emit(rows, output, fields=CLASSES, view=view(columns, sort))
    note(_summary(found, to))


def rightsize(
    ctx: typer.Context,
    file: EstateFile,
    policy: Annotated[
        Path | None, typer.Option(help="The sizing policy (YAML); without this, the usual one.")
    ] = None,
    usage: Annotated[
        Path | None,
        typer.Option(help="Measured use: a CSV in percent, or files that `usage import` takes."),
    ] = None,
    collected: Annotated[
        bool, typer.Option("--collected", help="Take the samples that are in the data directory.")
    ] = False,
    mhz_per_core: Annotated[
        int, typer.Option(min=0, max=100_000, help="Clock of hosts whose speed the estate does not say.")
    ] = 0,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Write the estate with this use (.json): a what-if can size by it."),
    ] = None,
    output: Output = Format.TABLE,
    columns: Columns = "",
    sort: Sort = "",
) -> None:
    """Say what size each machine needs by what it used, and which do nothing; changes nothing."""
    from catalog.estates.sizing import rightsize as sized
    from tierwise.clock import SystemClock
    from tierwise.errors import InvalidInput
    from tierwise.estates.classes import policy_of
    from tierwise.estates.utilization import age_days, from_path, own
    from tierwise.estates.writing import check_suffix
    from tierwise.estates.writing import write as write_estate

    if to is not None:
        check_suffix(to)
    if usage is not None and collected:
        msg = "--usage and --collected are two sources of the same figures; give one of them"
        raise InvalidInput(msg)
    context: Context = ctx.obj
    of_policy = policy_of(policy)
    estate = context.read_estate(file)
    percentile = float(of_policy.percentile)
    if usage is not None:
        measured = from_path(estate, usage, percentile, mhz_per_core=mhz_per_core)
    elif collected:
        measured = _from_store(ctx.obj, estate, percentile, mhz_per_core)
    else:
        measured = own(estate)
    for line in measured.notes:
        note(line)
    age = age_days(measured, int(SystemClock().now().timestamp()))
    pairs = [(one, sized(one, of_policy, age)) for one in measured.estate.machines]
    shown = [pair for pair in pairs if output is not Format.TABLE or _is_news(pair[1])]
    emit([_size_row(*pair) for pair in shown], output, fields=SIZES, view=view(columns, sort))
    for line in _saved([one for _, one in pairs], measured.machines):
        note(line)
    if to is not None:
        for line in write_estate(measured.estate, to):
            note(line)
        note(f"written: {to}")


def _must_keep(to: Path | None, mapping: Path | None) -> None:
    """A mapping that people may have edited is only written over when it has been read."""
    from tierwise.errors import InvalidInput

    if to is None or not to.exists() or (mapping is not None and to.resolve() == mapping.resolve()):
        return
    msg = (
        f"{to} is there already and may hold people's decisions; read it with --mapping {to}, "
        "which keeps them, or name another file"
    )
    raise InvalidInput(msg)


def _class_row(one: "Classified", name: str) -> dict[str, Any]:
    return {
        "id": one.machine,
        "machine": name,
        "class": str(one.target),
        "size": one.size,
        "vcpu": one.resources.vcpu,
        "memory_mib": one.resources.memory_mib,
        "disk_gib": one.resources.disk_gib,
        "confidence": f"{one.confidence:.2f}",
        "needs_eye": "yes" if one.needs_eye else "",
        "software": ", ".join(one.facts.software),
        "reason": one.reason,
    }


def _counts(found: "Iterable[Classified]") -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for one in found:
        name = str(one.target)
        row = rows.setdefault(
            name, {"class": name, "machines": 0, "need_eye": 0, "vcpu": 0, "memory_mib": 0, "disk_gib": 0}
        )
        row["machines"] += 1
        row["need_eye"] += one.needs_eye
        for amount in ("vcpu", "memory_mib", "disk_gib"):
            row[amount] += getattr(one.resources, amount)
    return sorted(rows.values(), key=lambda row: (not row["class"], -row["machines"], row["class"]))


def _summary(found: "tuple[Classified, ...]", to: Path | None) -> str:
    """``classified 2,244 (97 %) by size and guest; 74 need your eye: classes.csv``."""
    known = sum(one.is_known for one in found)
    share = f" ({round(100 * known / len(found))} %)" if found else ""
    left = len(found) - known
    by_hand = sum(one.by_hand for one in found)
    parts = [f"classified {known:,}{share} by size and guest"]
    if by_hand:
        parts.append(f"{by_hand:,} of them by hand")
    if left:
        where = f": {to}" if to else "; write them with --to classes.csv, edit, and read with --mapping"
        parts.append(f"{left:,} need{'s' if left == 1 else ''} your eye{where}")
    return "; ".join(parts)


def _size_row(machine: "EstateMachine", one: "Sized") -> dict[str, Any]:
    return {
        "id": one.machine,
        "machine": machine.name,
        "activity": one.activity.value,
        "vcpu_was": one.was.vcpu,
        "vcpu": one.resources.vcpu,
        "memory_mib_was": one.was.memory_mib,
        "memory_mib": one.resources.memory_mib,
        "confidence": f"{one.confidence:.2f}",
        "reason": one.reason,
    }


def _is_news(one: "Sized") -> bool:
    return one.is_changed or one.activity.value in {"idle", "zombie"}


def _saved(found: "list[Sized]", measured: int) -> list[str]:
    """The sums of what changes, and how many do nothing, a line each."""
    from catalog.resources import ResourceClass
    from catalog.units import amount_of
    from catalog.wording import counted

    lines = [f"the use of {measured:,} of {len(found):,} machines is known"]
    for word, sign in (("less", 1), ("more", -1)):
        saved = {
            rc: sum(max(0, sign * one.saved[rc]) for one in found)
            for rc in (ResourceClass.VCPU, ResourceClass.MEMORY_MIB)
        }
        if any(saved.values()):
            changed = sum(any(sign * one.saved[rc] > 0 for rc in saved) for one in found)
            what = " and ".join(amount_of(rc, n) for rc, n in saved.items() if n)
            lines.append(f"{counted(changed, 'machine')} would have {word}: {what} in all")
    idle = Counter(one.activity.value for one in found)
    doing = ", ".join(f"{idle[name]:,} {name}" for name in ("idle", "zombie", "off") if idle[name])
    if doing:
        lines.append(f"{doing}; have their owners look before anything is removed")
    return lines


def _from_store(context: Context, estate: "Estate", percentile: float, mhz_per_core: int) -> "Measured":
    from tierwise.estates.utilization import from_samples
    from tierwise.usecases.samples import sample_store

    with context.app() as app_:
        samples = sample_store(app_).read()
    return from_samples(estate, samples, percentile, mhz_per_core=mhz_per_core)
