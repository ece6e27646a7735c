"""``tierwise sim``: a simulated hypervisor to try a driver on, or to see how things go wrong."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tierwise.cli.output import note


def register(root: typer.Typer) -> None:
    """Add the command."""
    root.command()(sim)


def sim(
    kind: Annotated[str, typer.Argument(help="vsphere, hyperv or xen.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A fact of the estate: NAME=VALUE.", metavar="NAME=VALUE"),
    ] = None,
    rules: Annotated[
        Path | None, typer.Option(help="A YAML list of rules: which calls go wrong, and how.")
    ] = None,
    task_delay_ms: Annotated[int, typer.Option(min=0, max=3_600_000, help="How long each task runs.")] = 0,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on loopback; 0 takes a free one.")] = 0,
    name: Annotated[str, typer.Option(help="The endpoint's name in your catalog.")] = "",
    facts: Annotated[bool, typer.Option("--facts", help="Only list what --set can set.")] = False,
) -> None:
    """Run a simulated hypervisor until Ctrl-C, and print the endpoint to write into a catalog."""
    import signal
    import tempfile
    from contextlib import suppress

    from tierwise.errors import TierwiseError
    from tierwise.simulating import Kind, simulating
    from tierwise.simulating import facts as known

    if kind not in {one.value for one in Kind}:
        msg = f"'{kind}' is none of {', '.join(Kind)}"
        raise typer.BadParameter(msg)
    if facts:
        for fact, (default, meaning) in known(Kind(kind)).items():
            typer.echo(f"{fact}={default}" + (f"  # {meaning}" if meaning else ""))
        return
    signal.signal(signal.SIGTERM, _interrupt)
    with (
        suppress(KeyboardInterrupt),
        tempfile.TemporaryDirectory(prefix="tierwise-sim-") as folder,
        simulating(
            Kind(kind),
            dict(_pair(text) for text in set_ or ()),
            port=port,
            rules=_read(rules),
            task_delay_ms=task_delay_ms,
            cache_dir=_cache_dir(),
        ) as simulator,
    ):
        secret = Path(folder) / "password"
        secret.touch(mode=0o600)
        secret.write_text(simulator.password.get_secret_value(), encoding="utf-8")
        typer.echo(_document(simulator.endpoint(name or f"{kind}-sim"), secret))
        note("it runs until you press Ctrl-C; its machines end with it")
        simulator.wait()
        msg = "the simulator ended by itself, and its machines with it; start it again"
        raise TierwiseError(msg)
    note("stopped")


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        msg = f"'{text}' is not NAME=VALUE; --facts lists the names"
        raise typer.BadParameter(msg)
    return name.strip().replace("-", "_"), value


def _read(rules: Path | None) -> list[Any]:
    from catalog.yaml_nodes import read_values
    from tierwise.documents import read_text
    from tierwise.errors import InvalidInput

    if rules is None:
        return []
    found = read_values(read_text(rules), str(rules))
    if found.problems:
        msg = f"{rules} cannot be read"
        raise InvalidInput(msg, details=[str(one) for one in found.problems])
    if not isinstance(found.tree, list):
        msg = f"{rules} must hold a list of rules"
        raise InvalidInput(msg)
    return found.tree


def _document(endpoint: Any, secret: Path) -> str:
    import yaml

    fields = endpoint.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
    fields["secret"] = f"file:{secret}"
    return yaml.safe_dump({"endpoints": {endpoint.name: fields}}, sort_keys=False).rstrip()


def _cache_dir() -> Path:
    import platformdirs

    return platformdirs.user_cache_path("tierwise") / "simulators"
