"""The entry point of the command line, which lets Ctrl-C end the process in one word from its first line on.

Importing the commands takes a while, and Python answers Ctrl-C meanwhile with a traceback. So this module imports next to
nothing before it has taken the signal. Nothing else imports it.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

INTERRUPTED = 130
"""What shells give a command that Ctrl-C ended."""


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    os.write(2, b"stopped\n")
    os._exit(INTERRUPTED)


_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
"""Otherwise whoever started the process wants Ctrl-C to be ignored, as a shell does of what runs in the background."""
if _ours:
    signal.signal(signal.SIGINT, _end)


def run() -> NoReturn:
    """Run the command line; while a command is at work Ctrl-C is for that to answer."""
    from tierwise.cli.main import run as work  # noqa: PLC0415 - after the signal is taken

    try:
        if _ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        work()
    except KeyboardInterrupt:
        _end(signal.SIGINT, None)
    finally:
        if _ours:
            signal.signal(signal.SIGINT, _end)
