"""`dlp-local chat`: the terminal window of the assistant.

It sees the assistant, the records, the settings and the errors of `dlp_local`, and nothing below them. Importing
this package is cheap: textual is imported when a window is opened, the assistant's engine when the window's
worker thread loads it, after the first paint.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlp_local.settings import Settings
    from tui.assistant_like import AssistantLike


def run_chat(settings: Settings) -> int:
    """Opens the window and stays in it until the user leaves; returns the exit code for the shell."""
    from tui.app import ChatApp

    def open_assistant() -> AssistantLike:
        from dlp_local.assistant import open_assistant

        return open_assistant(settings)

    app = ChatApp(open_assistant)
    try:
        app.run()
    finally:
        ended = app.session.close()
    code = app.return_code or 0
    if not ended:
        # The worker sits in native code, loading a model say; the interpreter cannot be taken down around it.
        os._exit(code)
    return code
