"""Every setting with its default, once: a file for each group."""

from dlp_local.core.settings.engine import Engine
from dlp_local.core.settings.group import Group
from dlp_local.core.settings.routing import Routing
from dlp_local.core.settings.sampling import BASE_DEFAULTS, SEEDS, Sampling
from dlp_local.core.settings.server import Server
from dlp_local.core.settings.settings import Settings, load_settings
from dlp_local.core.settings.ui import Ui

__all__ = [
    "BASE_DEFAULTS",
    "SEEDS",
    "Engine",
    "Group",
    "Routing",
    "Sampling",
    "Server",
    "Settings",
    "Ui",
    "load_settings",
]
