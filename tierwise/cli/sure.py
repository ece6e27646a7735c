"""Asking before something is removed for good."""

import sys

import typer


def ask(question: str, consequence: str, *, yes: bool) -> None:
    """Ask on a terminal, unless `yes` was said; where nobody can be asked, `consequence` begins the refusal."""
    if yes:
        return
    if not sys.stdin.isatty():
        msg = f"{consequence}; where nobody can be asked, say --yes"
        raise typer.BadParameter(msg)
    typer.confirm(question, abort=True, err=True)
