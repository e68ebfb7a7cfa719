"""Whether replies under different mixes can share a batch on this machine, with the packages that are installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlp_local.core import settings
from dlp_local.engine.local.library import offloads
from dlp_local.engine.local.tensor_layout import operations

if TYPE_CHECKING:
    from dlp_local.engine.local.token_weights import TokenWeights


def open_token_weights(options: settings.Engine) -> TokenWeights | None:
    """What batches of many mixes need, where replies may run at the same time; None where they cannot be had here."""
    if options.parallel == 1 or offloads(options):
        return None
    known = operations()
    try:
        from dlp_local.engine.local.token_weights import TokenWeights
    except ImportError:
        return None
    return TokenWeights(known) if known else None
