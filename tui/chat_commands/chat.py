"""What the actions of the commands work on."""

from __future__ import annotations

import asyncio

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import InputError
from dlp_local.core.text import unknown_name
from dlp_local.core.values import Mix
from tui.session import Session
from tui.state import Status, Turn
from tui.views.base import View

NO_MESSAGE = "there is no message yet. Write one first."
STILL_LOADING = "the pack is still being loaded. Try again in a moment."
NOT_LOADED = "no pack is loaded. Close the chat and see `dlp-local doctor`."


class Chat:
    """The open conversation, and what shows it."""

    def __init__(self, view: View, session: Session) -> None:
        self.view, self.session = view, session

    @property
    def turn(self) -> Turn:
        """The turn that is meant, marked or last; raises `InputError` where there is none."""
        if (turn := self.view.turn) is None:
            raise InputError(NO_MESSAGE)
        return turn

    @property
    def options(self) -> ChatOptions:
        """What the conversation sets for itself."""
        return self.session.conversation.options

    async def set_options(self, **changes: object) -> None:
        """Changes options of the conversation; raises `InputError` for values that cannot be."""
        await asyncio.to_thread(self.session.set_options, ChatOptions.checked(changes, self.options))

    def require_idle(self) -> None:
        """Raises `InputError` while an answer is being written."""
        if self.session.busy:
            raise InputError("an answer is being written. Esc stops it.")

    def require_pack(self) -> Status:
        """The status of a loaded pack; raises `InputError` where none is loaded."""
        status = self.session.status
        if status.phase == "loading":
            raise InputError(STILL_LOADING)
        if status.phase == "failed":
            raise InputError(NOT_LOADED)
        return status

    def mix(self, text: str) -> Mix:
        """The mix of a text such as `sql=0.7,shell=0.3`; raises `InputError` for what the loaded pack does not have."""
        mix = Mix.parse(text)
        adapters = self.require_pack().adapters if mix.weights else ()
        if unknown := [name for name, _ in mix.weights if name not in adapters]:
            raise InputError(f"mix: {unknown_name('adapter', unknown[0], adapters)}")
        return mix
