"""Every check, one after the other.

A new check is a function in the list `CHECKS` of its file: `machine.py` for the machine and the installation,
`packs.py` for a pack. `engine.py` looks at the server at engine.url, and `answers.py` asks the pack in use.
"""

from __future__ import annotations

from collections.abc import Iterator

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.paths import config_file
from dlp_local.core.settings import Settings, load_settings
from dlp_local.doctor.checks import machine
from dlp_local.doctor.checks.answers import check_answers
from dlp_local.doctor.checks.engine import check_engine
from dlp_local.doctor.checks.packs import check_pack
from dlp_local.doctor.result import CheckResult
from dlp_local.packs import pack_folder
from dlp_local.packs.locations import shipped_packs, user_packs


def run_checks(pack: str | None = None) -> Iterator[CheckResult]:
    """Checks the machine, every pack, and two answers of the pack in use (none: the one of the settings).

    What is broken is a check that is not well, not an error.
    """
    settings, check = _settings(pack)
    yield check
    for machine_check in machine.CHECKS:
        yield machine_check()
    check, build = machine.llama_cpp()
    yield check
    folders = [*shipped_packs(), *user_packs()]
    try:
        used = pack_folder(settings.pack)
    except PackError as error:
        yield CheckResult("pack in use", False, str(error), "See `dlp-local pack list`.")
        used = None
    if used and used not in folders:
        folders.append(used)
    for folder in folders:
        yield from check_pack(folder, settings, build, is_used=folder == used)
    if used:
        engine = check_engine(used, settings) if settings.engine.url else None
        if engine:
            yield engine
        if engine is None or engine.is_well:  # an engine that is not well answers nothing
            yield from check_answers(used, settings)


def _settings(pack: str | None) -> tuple[Settings, CheckResult]:
    """The settings, or the defaults where they cannot be read."""
    try:
        return load_settings(pack=pack), CheckResult("settings", True, str(config_file()))
    except InputError as error:
        wrong = CheckResult("settings", False, str(error), "Mend them; what follows is with the defaults.")
        return Settings.model_construct(pack=pack), wrong
