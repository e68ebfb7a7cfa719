"""The program: `dlp-local`, and `python -m dlp_local`."""

# What is imported here is there before Ctrl+C is caught: nothing but what Python itself has imported already.
from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

INTERRUPTED = 130
"""As in `dlp_local.core.errors.ExitCode`."""


def main() -> NoReturn:
    """Runs the command line; Ctrl+C ends it without a traceback while it is still being imported, too."""
    # pydantic would look for plugins in every installed package, which is a tenth of the time to the first paint.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        _imported()()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _imported() -> Callable[[], NoReturn]:
    """The command line. Nothing is begun while it is imported, and modules in C may lose an interrupt on the way."""
    import signal

    catches = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if catches:
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    from dlp_local.cli.main import main as run

    if catches:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return run


if __name__ == "__main__":
    main()
