"""The command line: chat, ask, route."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from dlp_local import __version__, terminal
from dlp_local.errors import DlpLocalError, EngineError, ExitCode, InputError
from dlp_local.records import HistoryTrimmed, Mix, ReplyDone, TextDelta
from dlp_local.settings import Settings, load_settings

if TYPE_CHECKING:
    from dlp_local.assistant import Assistant

EXIT_CODES = "Exit codes: 0 well, 1 some rows failed, 2 wrong input, 3 damaged pack, 4 engine failed, 130 interrupted."

app = typer.Typer(
    name="dlp-local",
    help="A private assistant on your own laptop: each message is routed to the adapters that fit it. Works offline.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

DEFAULTS = Settings.model_construct()

PackOption = Annotated[Path | None, typer.Option("--pack", help="Folder of the pack; the bundled one by default.")]
SystemOption = Annotated[str | None, typer.Option("--system", help="System prompt.")]
TopPOption = Annotated[
    float | None,
    typer.Option(
        "--top-p", help="Keep the most probable adapters up to this sum.", show_default=str(DEFAULTS.routing.top_p)
    ),
]
NormaliseOption = Annotated[
    str | None,
    typer.Option("--normalise", help="Weights: 'proportional' or 'softmax' (the paper's code).", metavar="HOW"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.callback(invoke_without_command=True)
def options(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    """Options of the program itself."""
    if version:
        print(f"dlp-local {__version__}")
        raise typer.Exit


@app.command()
def chat(
    pack: PackOption = None,
    system: SystemOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the last conversation.")] = False,
    number: Annotated[
        int | None, typer.Option("--continue", help="Go on with this conversation.", metavar="NUMBER")
    ] = None,
) -> None:
    """Chat in the terminal; F1 shows the keys."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError("chat needs a terminal. Use `dlp-local ask` in scripts and pipes.")
    from tui import run_chat

    raise typer.Exit(run_chat(load_settings(pack=pack, system=system), resume=resume, number=number))


@app.command()
def ask(
    text: Annotated[str | None, typer.Argument(help="The message; '-' or none reads it from stdin.")] = None,
    pack: PackOption = None,
    mix: Annotated[
        str | None, typer.Option("--mix", help="Adapters by hand instead of routing: sql=0.7,shell=0.3 or base.")
    ] = None,
    system: SystemOption = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", help="Longest answer.", show_default=str(DEFAULTS.sampling.max_tokens))
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option("--temperature", help="0 is deterministic.", show_default=str(DEFAULTS.sampling.temperature)),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="The same seed, the same answer.")] = None,
    as_json: JsonOption = False,
    stream: Annotated[
        bool | None,
        typer.Option("--stream/--no-stream", help="Print the answer as it comes.", show_default="on a terminal"),
    ] = None,
    jsonl: Annotated[
        str | None, typer.Option("--jsonl", help='Answer rows {"text": …}, one a line, of a file or of - (stdin).')
    ] = None,
) -> None:
    """Answer one message and exit."""
    if jsonl is not None and text is not None:
        raise InputError("give either a message or --jsonl, not both.")
    if stream and (as_json or jsonl is not None):
        raise InputError("--stream prints text as it comes; leave it out with --json and --jsonl.")
    sampling = {"max_tokens": max_tokens, "temperature": temperature, "seed": seed}
    settings = load_settings(pack=pack, system=system, sampling=sampling)
    chosen = Mix.parse(mix) if mix is not None else None
    if jsonl is not None:
        _ask_rows(jsonl, chosen, settings)
        return
    message = terminal.read_stdin() if text in (None, "-") else str(text)
    with _open(settings) as assistant:
        if as_json:
            done = _finish(assistant, message, chosen)
            terminal.write_json(_answer_json(done))
        else:
            streams = sys.stdout.isatty() if stream is None else stream
            done = _print_answer(assistant, message, chosen, streams)
            terminal.print_note(" · ".join(done.receipt))
    if done.error:
        raise EngineError(done.error)


@app.command()
def route(
    text: Annotated[str, typer.Argument(help="The message; '-' reads one message a line from stdin.")],
    pack: PackOption = None,
    as_json: JsonOption = False,
    top_p: TopPOption = None,
    normalise: NormaliseOption = None,
) -> None:
    """Show which adapters a message would get, without answering it."""
    settings = load_settings(pack=pack, routing={"top_p": top_p, "normalise": normalise})
    from dlp_local.assistant import check_message, open_router, pack_folder
    from dlp_local.packs import open_pack

    router = open_router(open_pack(pack_folder(settings), only_routing=True), settings)
    for message in _messages(text):
        check_message(message)
        decision = router.route(message, settings.routing)
        if as_json:
            terminal.write_json(terminal.route_json(decision))
        else:
            terminal.print_route(decision)


def _messages(text: str) -> Iterator[str]:
    if text != "-":
        yield text
        return
    for number, line in terminal.numbered_lines("-"):
        yield terminal.decode(line, f"stdin, line {number}").rstrip("\r\n")


def _open(settings: Settings) -> Assistant:
    from dlp_local.assistant import open_assistant

    return open_assistant(settings)


@contextlib.contextmanager
def _ended_by_ctrl_c(assistant: Assistant) -> Iterator[None]:
    """Ctrl+C ends the running answer and is raised after it; raised in the middle, it would be lost in llama.cpp."""
    pressed = threading.Event()

    def end(*_: object) -> None:
        pressed.set()
        assistant.cancel()

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed.is_set():
        raise KeyboardInterrupt


def _finish(assistant: Assistant, message: str, mix: Mix | None) -> ReplyDone:
    """Runs a turn to its end."""
    with _ended_by_ctrl_c(assistant):
        *_, done = assistant.reply(message, mix=mix)
    assert isinstance(done, ReplyDone)
    return done


def _print_answer(assistant: Assistant, message: str, mix: Mix | None, streams: bool) -> ReplyDone:
    with _ended_by_ctrl_c(assistant):
        for event in assistant.reply(message, mix=mix):
            match event:
                case TextDelta(text) if streams:
                    terminal.write_text(text)
                case HistoryTrimmed(turns):
                    terminal.print_note(f"the oldest {turns} turns no longer fit")
                case ReplyDone():
                    terminal.write_text("\n" if streams else f"{event.answer}\n")
                    done = event
    return done


def _answer_json(done: ReplyDone) -> dict[str, Any]:
    timings = done.timings
    return {
        "text": done.text,
        "answer": done.answer,
        "mix": done.route.mix.as_dict(),
        "probabilities": terminal.probabilities_json(done.route),
        "finish_reason": done.finish_reason,
        "tokens": {"prompt": done.prompt_tokens, "answer": done.answer_tokens},
        "timings_ms": {
            "route": round(timings.route, 3),
            "first_token": round(timings.first_token, 3),
            "total": round(timings.total, 3),
        },
    } | ({"error": done.error} if done.error else {})


def _ask_rows(source: str, mix: Mix | None, settings: Settings) -> None:
    """Answers each row on its own, in order; a bad row gives a line with `error`, and the rest goes on."""
    failed = 0
    with _open(settings) as assistant:
        for number, line in terminal.numbered_lines(source):
            try:
                done = _finish(assistant, _row_text(line, number), mix)
                failed += bool(done.error)
                terminal.write_json(_answer_json(done))
            except (InputError, EngineError) as error:
                failed += 1
                terminal.write_json({"row": number, "error": str(error)})
    if failed:
        raise typer.Exit(ExitCode.FAILURE)


def _row_text(line: bytes, number: int) -> str:
    try:
        row = json.loads(terminal.decode(line, f"row {number}"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"row {number}: is not JSON ({error}). Write one object a line.") from None
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise InputError(f'row {number}: has no text. Write {{"text": "…"}}.')
    return str(row["text"])


def main() -> NoReturn:
    """Runs the command line and turns every error that a user may meet into a message and an exit code."""
    terminal.use_utf8()
    try:
        app(prog_name="dlp-local")
    except DlpLocalError as error:
        terminal.print_error(str(error))
        sys.exit(error.exit_code)
    sys.exit(ExitCode.OK)
