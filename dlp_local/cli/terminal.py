"""Between the command line and the terminal: reading stdin, safe printing, tables."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dlp_local.core.errors import InputError
from dlp_local.core.files import MAX_TEXT, decode, utf8_lines
from dlp_local.core.job import Job
from dlp_local.core.paths import user_path
from dlp_local.core.serialize import ranked
from dlp_local.core.text import is_unicode, visible
from dlp_local.core.values import Route, RouteExplanation

BAR_WIDTH = 24
SHOWN = 8
"""Entries of a list that may have a thousand."""


def text_console(*, stderr: bool = False) -> Console:
    """Where tables and styled text are printed; what a pack or a user says is text, never Rich's markup or emoji."""
    return Console(stderr=stderr, markup=False, emoji=False)


class _NoOutput(io.TextIOWrapper):
    """In the place of a stdout that was closed: it takes all and keeps nothing, but whether there was something."""

    is_lost = False

    def write(self, text: str) -> int:
        """As any text stream does."""
        self.is_lost = self.is_lost or bool(text)
        return super().write(text)


def is_output_lost() -> bool:
    """Whether something was written though stdout was closed."""
    return isinstance(sys.stdout, _NoOutput) and sys.stdout.is_lost


def refuses_output() -> bool:
    """Whether stdout takes nothing more, or may have been what did not: one without a buffer keeps nothing back."""
    try:
        sys.stdout.flush()
    except OSError:
        return True
    return bool(getattr(sys.stdout, "write_through", False))


def read_stdin() -> str:
    """All of stdin; raises `InputError` where it cannot be read, or has no end."""
    try:
        raw = sys.stdin.buffer.read(MAX_TEXT + 1)
    except OSError as error:
        raise InputError(f"stdin: cannot be read ({error.strerror or error}). Give it a file or a pipe.") from None
    if len(raw) > MAX_TEXT:
        raise InputError(f"stdin: is larger than {MAX_TEXT >> 20} MiB. Give it a part of that.")
    return decode(raw, "stdin")


def piped_stdin() -> str:
    """What is piped in, or redirected from a file; nothing where stdin is a terminal or was closed.

    A pipe that nobody ever writes to nor closes is waited for, and after a second a person is told so.
    """
    if sys.stdin.closed or sys.stdin.isatty():
        return ""
    hint = threading.Timer(1.0, print_note, ["waiting for the end of stdin; --no-stdin leaves it alone"])
    hint.daemon = True
    hint.start()
    try:
        return read_stdin()
    finally:
        hint.cancel()


def prepare_streams() -> None:
    """Lets stdout and stderr write any text, also into a pipe on Windows; what is closed reads and writes nothing.

    The null device takes the numbers of closed streams, so that no file does, which libraries would then print into.
    """
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            mode, flag = ("rb", os.O_RDONLY) if name == "stdin" else ("wb", os.O_WRONLY)
            kind = _NoOutput if name == "stdout" else io.TextIOWrapper
            setattr(sys, name, kind(os.fdopen(os.open(os.devnull, flag), mode), encoding="utf-8"))
        elif name != "stdin" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")


def check_arguments(arguments: Sequence[str]) -> None:
    """Raises `InputError` for an argument whose bytes are no UTF-8, unless it names something that is there."""
    for argument in arguments:
        if not is_unicode(argument) and not os.path.lexists(argument):
            raise InputError(f"the argument '{argument}' is not UTF-8. Convert it first, with iconv say.")


@contextlib.contextmanager
def on_ctrl_c(handle: Callable[[], None]) -> Iterator[None]:
    """Within the block Ctrl+C calls `handle`, and raises nothing but what that does."""
    before = signal.signal(signal.SIGINT, lambda *_: handle())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def stopped_by_ctrl_c(job: Job[Any], note: Callable[[], None]) -> Iterator[None]:
    """Within the block Ctrl+C cancels a job that keeps what it has, and calls `note`; a second one ends the program."""
    pressed = threading.Event()

    def end() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()
        job.cancel()
        note()

    with on_ctrl_c(end):
        yield


def drop_output() -> None:
    """Sends what is not written yet, and cannot be, nowhere: else Python tries once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def numbered_lines(source: str) -> Iterator[tuple[int, bytes]]:
    """The lines of a file, or of stdin for `-`, as they come, with their numbers; blank ones are left out."""
    if not source:
        raise InputError("an empty name names no file. Give the path of one, or - for stdin.")
    try:
        with contextlib.nullcontext(sys.stdin.buffer) if source == "-" else user_path(source).open("rb") as file:
            yield from ((number, line) for number, line in enumerate(utf8_lines(file, source), start=1) if line.strip())
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror}). Check the path.") from None


def write_json(value: Any) -> None:
    """One JSON object on a line of its own, at once."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def write_text(text: str) -> None:
    """A piece of an answer, at once; on a terminal with visible signs for control characters."""
    sys.stdout.write(visible(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def print_route(route: Route) -> None:
    """A route as a table with bars, without those of its parts."""
    table = Table(box=None, pad_edge=False)
    table.add_column("adapter")
    table.add_column("probability", justify="right")
    table.add_column("", width=BAR_WIDTH)
    table.add_column("weight", justify="right")
    weights = route.mix.as_dict()
    probabilities = ranked(route.probabilities)
    for name, p in list(probabilities.items())[: max(SHOWN, len(weights))]:
        bar = "█" * round(p * BAR_WIDTH)
        weight = f"{weights[name]:.2f}" if name in weights else "-"
        table.add_row(name, f"{p:.3f}", Text(bar, style="cyan" if name in weights else "dim"), weight)
    console = text_console()
    console.print(Text(visible(route.text), style="bold"))
    console.print(table)
    if len(probabilities) > max(SHOWN, len(weights)):
        console.print(Text(f"and {len(probabilities) - max(SHOWN, len(weights))} less probable ones", style="dim"))
    if route.total_ms:
        console.print(Text(f"{route.embed_ms:.1f} ms embed · {route.route_ms:.1f} ms route", style="dim"))
    if route.parts:
        console.print(f"Answered in {len(route.parts)} parts, each under its own mix:")


def print_why(why: RouteExplanation, has_before: bool) -> None:
    """Why a route is as it is: nearest examples, the probability without the turn before, what top-p cut."""
    console = text_console()
    table = Table("near", "adapter", "example", box=None, pad_edge=False)
    for near in why.nearest:
        said = Text(visible(" ".join(near.text.split())), no_wrap=True, overflow="ellipsis")
        table.add_row(f"{near.cosine:.2f}", near.adapter, said.append(" (corrected)" if near.is_corrected else ""))
    console.print(table if why.nearest else "No adapter has examples.")
    if has_before:
        table = Table("adapter", "alone", "after the turn before", box=None, pad_edge=False)
        for name in list(ranked(why.carried))[:SHOWN]:
            table.add_row(name, f"{why.alone[name]:.3f}", f"{why.carried[name]:.3f}")
        console.print(table)
    else:
        console.print("There is no turn before: --after TEXT gives one.", style="dim")
    cut = [f"{name} {p:.3f}" for name, p in ranked(why.cut).items()]
    more = f" and {len(cut) - SHOWN} more" if len(cut) > SHOWN else ""
    console.print(f"kept: {', '.join(f'{name} {p:.3f}' for name, p in ranked(why.kept).items())}")
    console.print(f"cut by top-p: {', '.join(cut[:SHOWN]) + more if cut else 'nothing'}")


def print_note(line: str) -> None:
    """A line beside the answer, its receipt say: on stderr, and only for a person."""
    if sys.stderr.isatty():
        text_console(stderr=True).print(Text(line, style="dim"))


def print_warning(line: str) -> None:
    """What a user must know although the command succeeds: on stderr, for a person and for a script's log."""
    print(f"dlp-local: note: {visible(line)}", file=sys.stderr)


def print_error(message: str) -> None:
    """An error, on stderr."""
    print(f"dlp-local: {visible(message)}", file=sys.stderr)
