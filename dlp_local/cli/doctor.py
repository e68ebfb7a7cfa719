"""`dlp-local doctor`: is everything well?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from dlp_local.cli import terminal
from dlp_local.cli.flags import JsonOption, PackOption
from dlp_local.core.errors import ExitCode
from dlp_local.core.text import visible

if TYPE_CHECKING:
    from dlp_local.doctor import CheckResult


def doctor(pack: PackOption = None, as_json: JsonOption = False) -> None:
    """Check the machine, every pack and one real answer; exit code 0 only if all is well."""
    from dlp_local.doctor import run_checks

    checks = []
    for check in run_checks(pack):
        checks.append(check)
        if not as_json:
            _print(check)
    wrong = sum(not check.is_well for check in checks)
    if as_json:
        terminal.write_json({"well": not wrong, "checks": [_json(check) for check in checks]})
    else:
        print(f"{wrong} of {len(checks)} checks are not well." if wrong else "All is well.")
    if wrong:
        raise typer.Exit(ExitCode.FAILURE)


def _print(check: CheckResult) -> None:
    mark = Text("well   ", "green") if check.is_well else Text("wrong  ", "bold red")
    console = terminal.text_console()
    console.print(Text.assemble(mark, (check.name, "bold"), f": {visible(check.detail)}"), soft_wrap=True)
    if check.next_step:
        console.print(Text(f"       {visible(check.next_step)}", "yellow"), soft_wrap=True)


def _json(check: CheckResult) -> dict[str, Any]:
    return {"name": check.name, "well": check.is_well, "detail": check.detail, "next": check.next_step}
