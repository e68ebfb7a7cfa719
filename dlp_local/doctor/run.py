"""The whole examination, one finding after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import DlpLocalError, InputError, PackError
from dlp_local.core.events import ReplyDone
from dlp_local.core.paths import config_file
from dlp_local.core.settings import Settings, load_settings
from dlp_local.doctor import machine
from dlp_local.doctor.check import Check
from dlp_local.doctor.packs import check_pack
from dlp_local.opening import open_assistant
from dlp_local.packs import bundled_pack, pack_folder
from dlp_local.packs.locations import user_packs

MESSAGE = "Hello, what can you do?"
"""Asked where a pack brings no examples of its own."""

LONGEST = 32
"""Tokens of the answer that is timed."""


def run_checks(pack: str | None = None) -> Iterator[Check]:
    """Looks at the machine, at every pack, and at one real answer of the pack in use (none: the settings' own).

    What is broken is a finding, not an error.
    """
    settings, check = _settings(pack)
    yield check
    yield machine.python()
    yield machine.packages()
    check, build = machine.llama_cpp()
    yield check
    yield machine.memory()
    yield machine.disk()
    folders = [bundled_pack(), *user_packs()]
    try:
        used = pack_folder(settings.pack)
    except PackError as error:
        yield Check("pack in use", False, str(error), "See `dlp-local pack list`.")
        used = None
    if used and used not in folders:
        folders.append(used)
    for folder in folders:
        yield from check_pack(folder, settings, build)
    if used:
        yield _answer(used, settings)


def _settings(pack: str | None) -> tuple[Settings, Check]:
    """The settings, or the defaults where they cannot be read."""
    try:
        return load_settings(pack=pack), Check("settings", True, str(config_file()))
    except InputError as error:
        wrong = Check("settings", False, str(error), "Mend them; what follows is with the defaults.")
        return Settings.model_construct(pack=pack), wrong


def _answer(folder: Path, settings: Settings) -> Check:
    """One message routed and answered, timed."""
    try:
        started = time.perf_counter()
        with open_assistant(settings, folder) as assistant:
            opened = time.perf_counter() - started
            message = next(iter(assistant.examples), MESSAGE)
            *_, done = assistant.reply(message, options=ChatOptions(max_tokens=LONGEST))
    except DlpLocalError as error:
        return Check("answer", False, str(error), "Mend what is not well above.")
    assert isinstance(done, ReplyDone)
    if done.error:
        return Check("answer", False, done.error, "Mend what is not well above.")
    after_first = done.timings.total - done.timings.first_token
    speed = f", {(done.answer_tokens - 1) / after_first * 1e3:.0f} tokens/s" if done.answer_tokens > 1 else ""
    return Check(
        "answer",
        True,
        f"'{message}' went to {done.route.mix} and gave '{done.answer}': opened in {opened:.1f} s, "
        f"routed in {done.timings.route:.0f} ms, first token after {done.timings.first_token:.0f} ms{speed}",
    )
