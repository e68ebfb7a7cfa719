"""The program: `dlp-local`, and `python -m dlp_local`."""

import os
import sys
from typing import NoReturn

from dlp_local.core.errors import ExitCode


def main() -> NoReturn:
    """Runs the command line; Ctrl+C ends it without a traceback while it is still being imported, too."""
    # pydantic would look for plugins in every installed package, which is a tenth of the time to the first paint.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        from dlp_local.cli.main import main as run
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    run()


if __name__ == "__main__":
    main()
