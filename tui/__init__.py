"""`dlp-local chat`: the terminal window of the assistant.

It sees the assistant, the history and the ground floor of `dlp_local`, and nothing below them. Importing
this package is cheap: textual is imported when a window is opened, the assistant's engine when the window's
worker thread loads it, after the first paint.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlp_local.core.settings import Settings
    from tui.session import ChangeOptions, OpenAssistant
    from tui.session.assistant_backend import AssistantBackend


def run_chat(
    settings: Settings,
    *,
    resume: bool = False,
    number: int | None = None,
    change_options: ChangeOptions | None = None,
) -> int:
    """Opens the window and stays in it until the user leaves; returns the exit code for the shell.

    `resume` goes on with the last conversation, `number` with that one; `change_options` gives its options, or a new
    one's, anew. Raises `HistoryError` where there is none of that number.
    """
    from dlp_local.history import open_history
    from tui.app import ChatApp

    history, notice = open_history()
    number = history.last() if resume and number is None else number
    app = ChatApp(opener(settings), history, notice, number, settings.ui, change_options)
    try:
        app.run()
    finally:
        ended = app.session.close()
        history.close()
    code = app.return_code or 0
    if not ended:
        # The worker sits in native code, loading a model say; the interpreter cannot be taken down around it.
        os._exit(code)
    return code


def opener(settings: Settings) -> OpenAssistant:
    """Opens the pack of a name, or, for None, that of the settings; imports the engine only then."""

    def open_pack(pack: str | None) -> AssistantBackend:
        from dlp_local.opening import open_assistant

        return open_assistant(settings if pack is None else settings.model_copy(update={"pack": pack}))

    return open_pack
