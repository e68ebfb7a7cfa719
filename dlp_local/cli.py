"""The command line: the table of the commands."""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

from dlp_local import __version__, terminal
from dlp_local.commands import adapters, history, pack, persona, router
from dlp_local.commands.ask import ask
from dlp_local.commands.chat import chat
from dlp_local.commands.doctor import doctor
from dlp_local.commands.pull import pull
from dlp_local.commands.route import route
from dlp_local.errors import DlpLocalError, ExitCode

EXIT_CODES = (
    "Exit codes: 0 well, 1 some rows failed or not all is well, 2 wrong input, 3 damaged pack, 4 engine failed, "
    "5 download failed, 130 interrupted."
)

app = typer.Typer(
    name="dlp-local",
    help="A private assistant on your own laptop: each message is routed to the adapters that fit it. Works offline.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (chat, ask, route, pull, doctor):
    app.command()(command)
app.add_typer(pack.app, name="pack")
app.add_typer(adapters.app, name="adapters")
app.add_typer(router.app, name="router")
app.add_typer(history.app, name="history")
app.add_typer(persona.app, name="persona")


@app.callback(invoke_without_command=True)
def options(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    """Options of the program itself."""
    if version:
        print(f"dlp-local {__version__}")
        raise typer.Exit


def main() -> NoReturn:
    """Runs the command line and turns every error that a user may meet into a message and an exit code."""
    terminal.use_utf8()
    try:
        app(prog_name="dlp-local")
    except DlpLocalError as error:
        terminal.print_error(str(error))
        sys.exit(error.exit_code)
    sys.exit(ExitCode.OK)
