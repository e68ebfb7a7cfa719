"""What a pack or an adapter may be called."""

from __future__ import annotations

import re

from dlp_local.core.errors import InputError
from dlp_local.core.values import BASE

NAME_PATTERN = r"^(?!(con|prn|aux|nul|com\d|lpt\d)(\.|$))[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9_-])?$"
"""What a pack or an adapter may be called: what every system takes as the name of a file and of a folder."""

NAME_RULE = (
    "lower-case letters, digits, '.', '_' and '-', 64 of them at most, begin with a letter or a digit and end with no "
    "dot; con, prn, aux, nul, com1 and lpt1 are devices of Windows"
)


def check_name(name: str, what: str) -> str:
    """Returns a valid name unchanged; raises `InputError` for one that no pack and no adapter may have."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise InputError(f"{what}: '{name}' is no name. Use {NAME_RULE}.")
    return name


def check_adapter_name(name: str) -> str:
    """Returns a valid name of an adapter unchanged; raises `InputError` for any other."""
    if name == BASE:
        raise InputError(f"adapter: '{BASE}' is what no adapter at all is called. Choose another name.")
    return check_name(name, "adapter")
