"""`dlp-local ask`: one message, or rows of them, and its answer."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlp_local.cli import flags, terminal
from dlp_local.cli.ask_row import ROW_HELP
from dlp_local.cli.ask_rows import RowAnswers
from dlp_local.cli.sampling_flags import with_sampling_flags
from dlp_local.conversation_turn import answer_turn, store_message
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import EngineError, ExitCode, InputError
from dlp_local.core.events import AnswerWasReasoning, Event, HistoryTrimmed, ReplyDone, TextDelta
from dlp_local.core.files import is_file
from dlp_local.core.job import Job
from dlp_local.core.receipt import no_answer_note, receipt_lines, trimmed_note
from dlp_local.core.serialize import reply_json
from dlp_local.core.server_address import Server
from dlp_local.core.settings import Settings, load_settings
from dlp_local.core.text import unknown_name
from dlp_local.core.user_message import MENTION, Attachment, UserMessage, is_quoted, mentioned_paths
from dlp_local.history import History
from dlp_local.history.open_conversation import OpenConversation

if TYPE_CHECKING:
    from dlp_local.assistant import Assistant
    from dlp_local.remote_assistant import RemoteAssistant


@with_sampling_flags
def ask(
    message: Annotated[
        list[str] | None,
        typer.Argument(help="The message; '-' or none reads it from stdin. Stdin goes along with a message."),
    ] = None,
    pack: flags.PackOption = None,
    mix: flags.MixOption = None,
    veto: flags.VetoOption = None,
    persona: flags.PersonaOption = None,
    system: flags.SystemOption = None,
    sampling: Mapping[str, Any] = {},
    scope: flags.ScopeOption = None,
    split: flags.SplitOption = None,
    save: Annotated[bool, typer.Option("--save", help="Keep the turn as a new conversation.")] = False,
    resume: flags.ResumeOption = False,
    number: flags.ContinueOption = None,
    server: flags.ServerOption = None,
    api_key_file: flags.ApiKeyFileOption = None,
    as_json: flags.JsonOption = False,
    stream: Annotated[
        bool | None,
        typer.Option("--stream/--no-stream", help="Print the answer as it comes.", show_default="on a terminal"),
    ] = None,
    jsonl: Annotated[
        str | None,
        typer.Option("--jsonl", help=f"Answer rows, one a line, of a file or of - (stdin), many at once: {ROW_HELP}"),
    ] = None,
    no_stdin: Annotated[bool, typer.Option("--no-stdin", help="Leave stdin alone, as in a loop over it.")] = False,
) -> None:
    """Answer one message and exit; what is piped in goes along with it."""
    kept = save or resume or number is not None
    if jsonl is not None and (message or kept):
        raise InputError("--jsonl answers its own rows, each alone. Leave out the message, --save and --continue.")
    if stream and (as_json or jsonl is not None):
        raise InputError("--stream prints text as it comes; leave it out with --json and --jsonl.")
    if no_stdin and (jsonl == "-" if jsonl is not None else message in (None, [], ["-"])):
        raise InputError("--no-stdin leaves stdin alone, and this would be read from there. Give a message or a file.")
    if save + resume + (number is not None) > 1:
        raise InputError("give one of --save, --resume and --continue.")
    remote = flags.server_of(server, api_key_file, pack)
    settings = load_settings(pack=pack)
    vetoed = tuple(veto or ())
    options_given = {"system": system, "scope": scope, "split": split, "vetoed": vetoed or None} | dict(sampling)
    own = {name: value for name, value in options_given.items() if value is not None}
    chosen = flags.mix_by_hand(mix, veto)
    if jsonl is not None:
        options = _options(persona, own)
        with _open(settings.for_many(), vetoed, remote) as assistant:
            failed = RowAnswers(assistant, chosen, options).print_all(jsonl)
        if failed:
            raise typer.Exit(ExitCode.FAILURE)
        return
    text = _text(" ".join(message) if message else "-", reads_stdin=not no_stdin)
    for mention in _files_named(" ".join(message or ())):
        terminal.print_warning(f"@{mention} goes as these words, without the file. Pipe it in, or attach it in chat.")
    with contextlib.closing(flags.stored_history() if kept else History(None)) as history:
        chat = _open_chat(history, resume, number)
        options = _options(persona, own, chat.options)
        with _open(settings, vetoed, remote) as assistant:
            chat.options = options
            turn = store_message(chat, text, parent=chat.tip, pack=assistant.name)
            reply = answer_turn(assistant, chat, turn.id, mix=chosen)
            if as_json:
                done = _finish(reply)
                terminal.write_json(reply_json(done) | ({"conversation": chat.number} if kept else {}))
            else:
                streams = sys.stdout.isatty() if stream is None else stream
                done = _print_answer(reply, streams)
                where = f" · conversation {chat.number}" if kept else ""
                terminal.print_note("\n".join(receipt_lines(done)) + where)
        if chat.problem:
            raise InputError(chat.problem)
    if done.error:
        raise EngineError(done.error)


def _text(text: str, reads_stdin: bool) -> str:
    """The message, with what is piped in behind it, if there is both."""
    if text == "-":
        return terminal.read_stdin()
    piped = terminal.piped_stdin() if reads_stdin else ""
    return str(UserMessage(text, (Attachment(piped),))) if piped.strip() else text


def _files_named(text: str) -> list[str]:
    """Files that a message names with `@`. They are not read: it may be a stranger's text, out of a script."""
    named = (mentioned_paths(mention) for mention in MENTION.finditer(text) if not is_quoted(mention))
    found = (next((path for path in paths if is_file(Path(path).expanduser())), "") for paths in named)
    return [path for path in dict.fromkeys(found) if path]


def _options(persona: str | None, own: dict[str, Any], before: ChatOptions | None = None) -> ChatOptions:
    """The flags over the persona's options, or over those that the conversation has.

    Raises `InputError` where an adapter is vetoed that is pinned there.
    """
    if persona is not None:
        before = flags.stored_persona(persona)
    options = ChatOptions.checked(own, before)
    if both := [name for name in own.get("vetoed", ()) if name in (options.pinned or {})]:
        of = f"the persona '{persona}'" if persona is not None else "the conversation"
        raise InputError(f"--veto: {of} pins '{both[0]}'. Leave one of them out.")
    return options


def _open_chat(history: History, resume: bool, number: int | None) -> OpenConversation:
    if resume:
        number = history.last()
    if number is None:
        return OpenConversation(history)
    history.end_unfinished(number)
    return OpenConversation(history, history.conversation(number))


def _open(settings: Settings, vetoed: Sequence[str], server: Server | None) -> Assistant | RemoteAssistant:
    """The assistant, or a server's; raises `InputError` for a veto of an adapter that its pack does not have."""
    from dlp_local.opening import open_assistant
    from dlp_local.remote_assistant import open_remote_assistant

    assistant = open_remote_assistant(server, settings) if server else open_assistant(settings)
    known = [adapter.name for adapter in assistant.pack_adapters]
    if unknown := [name for name in vetoed if name not in known]:
        assistant.close()
        raise InputError(f"--veto: {unknown_name('adapter', unknown[0], known)}")
    for notice in assistant.notices:
        terminal.print_warning(notice)
    return assistant


@contextlib.contextmanager
def _ended_by_ctrl_c(reply: Job[Event]) -> Iterator[None]:
    """Ctrl+C ends the running answer and is raised after it; raised in the middle, it would be lost in llama.cpp."""
    pressed = threading.Event()

    def end() -> None:
        pressed.set()
        reply.cancel()

    with terminal.on_ctrl_c(end):
        yield
    if pressed.is_set():
        raise KeyboardInterrupt


def _finish(reply: Job[Event]) -> ReplyDone:
    """Runs a turn to its end."""
    with _ended_by_ctrl_c(reply):
        done = reply.finish()
    assert isinstance(done, ReplyDone)
    return done


def _print_answer(reply: Job[Event], streams: bool) -> ReplyDone:
    with _ended_by_ctrl_c(reply):
        for event in reply:
            match event:
                case TextDelta(text) if streams:
                    terminal.write_text(text)
                case AnswerWasReasoning() if streams:
                    terminal.write_text("\n")
                    terminal.print_warning("what was printed so far is the model's reasoning; the answer follows")
                case HistoryTrimmed(turns):
                    terminal.print_note(trimmed_note(turns))
                case ReplyDone():
                    terminal.write_text("\n" if streams else f"{event.answer}\n")
                    done = event
    if note := no_answer_note(done, "Set --max-tokens to more."):
        terminal.print_warning(note)
    return done
