"""The command line: the table of the commands."""

from __future__ import annotations

import contextlib
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from dlp_local.cli import terminal
from dlp_local.core.errors import DlpLocalError, ExitCode
from dlp_local.core.files import NO_ROOM
from dlp_local.core.paths import user_path
from dlp_local.core.text import did_you_mean

COMMANDS = (
    *("chat", "ask", "route", "eval", "serve", "connect", "pack", "adapters", "router", "pull", "history", "persona"),
    *("engine", "doctor"),
)
"""Each is a module of `dlp_local.cli`, with a function of its name or a group called `app`."""

EXIT_CODES = (
    "Exit codes: 0 well, 1 some rows failed or not all is well, 2 wrong input, 3 damaged pack, 4 engine failed, "
    "5 download failed, 130 interrupted."
)


class Commands(TyperGroup):
    """Imports the command that is called and no other: the window is to be painted at once."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """In the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, name: str) -> TyperCommand | TyperGroup | None:  # type: ignore[override]
        """The command of that name."""
        if name not in COMMANDS:
            return None
        module = import_module(f"dlp_local.cli.{name}")
        if group := getattr(module, "app", None):
            command: TyperCommand | TyperGroup = typer.main.get_group(group)
        else:
            alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
            alone.command(name)(getattr(module, name))
            command = typer.main.get_command(alone)  # type: ignore[assignment]
        command.name = name
        _fill_in_paths(command)
        return command

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> Any:  # type: ignore[override]
        """The command that the arguments name; an unknown one is refused with the nearest names."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"There is no command '{args[0]}'.{did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Runs the command; a value that its option cannot take is refused in plain words."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = _plain(error.message)
            raise


def _plain(message: str) -> str:
    """`give a whole number.` for `Input should be a valid integer, unable to parse string as an integer`."""
    message = message.removeprefix("Value error, ")
    if not message.startswith("Input should be "):
        return message
    expected = message.removeprefix("Input should be ").partition(",")[0].replace("valid integer", "whole number")
    return f"give {'a number ' if expected.startswith(('greater', 'less')) else ''}{expected.replace('valid ', '')}."


def _fill_in_paths(command: Any) -> None:
    """Lets a command, and those of a group, take every `Path` with its `~` and variables filled in."""
    for inner in getattr(command, "commands", {}).values():
        _fill_in_paths(inner)
    if (function := command.callback) is not None:
        command.callback = lambda **values: function(**{name: _filled_in(value) for name, value in values.items()})


def _filled_in(value: Any) -> Any:
    if isinstance(value, list):
        return [_filled_in(one) for one in value]
    return user_path(value) if isinstance(value, Path) else value


app = typer.Typer(
    name="dlp-local",
    cls=Commands,
    help="A private assistant on your own laptop: each message is routed to the adapters that fit it. Works offline.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def options(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    """Options of the program itself."""
    if version:
        from dlp_local import __version__

        print(f"dlp-local {__version__}")
        raise typer.Exit


def main() -> NoReturn:
    """Runs the command line and turns every error that a user may meet into a message and an exit code."""
    terminal.prepare_streams()
    try:
        code = _exit_code()
        sys.stdout.flush()
        if code == ExitCode.OK and terminal.is_output_lost():
            terminal.print_error("what was to be written is lost, for stdout is closed. Send it to a file or a pipe.")
            code = ExitCode.FAILURE
    except OSError as error:
        code = _refused_by_system(error)
    sys.exit(code)


def _exit_code() -> int:
    """Runs the command that the arguments name; raises `OSError` for what it did not expect of the system."""
    try:
        terminal.check_arguments(sys.argv[1:])
        app(prog_name="dlp-local")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else ExitCode.OK
    except DlpLocalError as error:
        terminal.print_error(str(error))
        return error.exit_code
    return ExitCode.OK


def _refused_by_system(error: OSError) -> int:
    """Says what the system refused; a pipe whose reader went away is no news."""
    reason = error.strerror or str(error)
    with contextlib.suppress(OSError):  # stderr may take nothing either
        if error.filename is not None:
            terminal.print_error(f"{error.filename}: cannot be used ({reason}). Check the path.")
            return ExitCode.USAGE
        if error.errno in NO_ROOM:
            terminal.print_error(f"what was to be written found no room ({reason}). Make room on the disk.")
        elif terminal.refuses_output():
            if not isinstance(error, BrokenPipeError):
                terminal.print_error(f"what was to be written was refused ({reason}). Send it to another place.")
        else:
            terminal.print_error(f"the system refused something ({reason}). Try it again.")
    terminal.drop_output()
    return ExitCode.FAILURE
