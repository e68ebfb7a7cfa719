"""`dlp-local chat`: the terminal window of the assistant.

It sees the assistant, the history and the ground floor of `dlp_local`, and nothing below them. Importing
this package is cheap: textual is imported when a window is opened, the assistant's engine when the window's
worker thread loads it, after the first paint.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlp_local.core.server_address import Server
    from dlp_local.core.settings import Settings
    from tui.session import ChangeOptions, OpenAssistant, StartTraining
    from tui.session.assistant_backend import AssistantBackend
    from tui.state import Place

SIGNALLED = 128
"""What a shell adds to the number of the signal that ended a program."""


def run_chat(
    settings: Settings,
    *,
    resume: bool = False,
    number: int | None = None,
    change_options: ChangeOptions | None = None,
    server: Server | None = None,
) -> int:
    """Opens the window and stays in it until the user leaves; returns the exit code for the shell.

    A `server` answers instead of a pack on this machine. `resume` goes on with the last conversation, `number` with
    that one; `change_options` gives its options, or a new one's, anew. Raises `HistoryError` where there is none of
    that number.
    """
    from dlp_local.history import open_history
    from tui.app import ChatApp

    history, notice = open_history()
    number = history.last() if resume and number is None else number
    app = ChatApp(
        opener(settings, server),
        history,
        notice,
        number,
        settings.ui,
        change_options,
        no_corrections(server),
        place_of(settings, server),
        trainer(settings),
    )
    try:
        app.run()
    finally:
        ended = app.session.close()
        history.close()
    code = (app.return_code or 0) if app.ended_by is None else SIGNALLED + app.ended_by
    if not ended:
        # The worker sits in native code, loading a model say; the interpreter cannot be taken down around it.
        os._exit(code)
    return code


def run_plain(
    settings: Settings,
    *,
    resume: bool = False,
    number: int | None = None,
    change_options: ChangeOptions | None = None,
    server: Server | None = None,
) -> int:
    """Chats on stdin and stdout until the user leaves; returns the exit code for the shell.

    A `server` answers instead of a pack on this machine. `resume` goes on with the last conversation, `number` with
    that one; `change_options` gives its options, or a new one's, anew. Raises `HistoryError` where there is none of
    that number.
    """
    from dlp_local.history import open_history
    from tui.session import Session
    from tui.views.plain import PlainView

    with suppress(ImportError):  # where Python has it, `input` then edits lines and recalls those before
        import readline  # noqa: F401

    history, notice = open_history()
    session = Session(
        opener(settings, server), history, notice, no_corrections(server), place_of(settings, server), trainer(settings)
    )
    try:
        if resume and number is None:
            number = history.last()
        if number is not None:
            session.open(number)
        if change_options is not None:
            session.set_options(change_options(session.conversation.options))
        plain = PlainView(session)
        if number is not None:
            plain.show(session.view())
        return plain.run()
    finally:
        session.close()
        history.close()
        sys.stdout.flush()


def opener(settings: Settings, server: Server | None = None) -> OpenAssistant:
    """Opens the pack of a name, or, for None, that of the settings; imports the engine only then.

    Where there is a server, its pack is the only one.
    """

    def open_pack(pack: str | None) -> AssistantBackend:
        if server is not None:
            return _open_remote(server, pack, settings)
        from dlp_local.opening import open_assistant

        return open_assistant(settings if pack is None else settings.model_copy(update={"pack": pack}))

    return open_pack


def _open_remote(server: Server, pack: str | None, settings: Settings) -> AssistantBackend:
    from dlp_local.core.errors import InputError
    from dlp_local.remote_assistant import open_remote_assistant

    if pack is not None:
        raise InputError(f"the server {server.url} answers with its own pack. Chat without --server to open '{pack}'.")
    return open_remote_assistant(server, settings)


def trainer(settings: Settings) -> StartTraining:
    """Trains adapters for conversations under the system prompt of the settings, in another process."""
    from tui.session import train_adapter

    return partial(train_adapter, system=settings.system)


def place_of(settings: Settings, server: Server | None = None) -> Place:
    """Where messages will be answered."""
    from tui.state import Place

    return Place(server=server.url) if server else Place(engine=settings.engine.url)


def no_corrections(server: Server | None) -> str:
    """Why messages cannot be corrected; empty where they can."""
    if server is None:
        return ""
    from dlp_local.remote_assistant import NO_CORRECTIONS

    return NO_CORRECTIONS
