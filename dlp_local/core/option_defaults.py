"""What holds for the options that a conversation leaves alone, and who said so."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from dlp_local.core.settings import Sampling, Settings

Source = Literal["default", "settings", "pack"]


@dataclass(frozen=True, slots=True)
class OptionDefault:
    """The value of an option where a mix of adapters answers, and where the backbone alone (`base`) does."""

    value: Any
    base: Any
    source: Source


NO_DEFAULTS: Mapping[str, OptionDefault] = MappingProxyType({})
"""Nothing is known of them."""


def option_defaults(settings: Settings, from_pack: Collection[str] = ()) -> Mapping[str, OptionDefault]:
    """What the settings of a pack say, by option; `from_pack` names the fields of `sampling` that the pack says."""
    sampling, routing, base = settings.sampling, settings.routing, settings.sampling.for_base()

    def source(is_set: bool) -> Source:
        return "settings" if is_set else "default"

    defaults = {
        name: OptionDefault(
            getattr(sampling, name),
            getattr(base, name),
            "pack" if name in from_pack else source(name in sampling.model_fields_set),
        )
        for name in Sampling.model_fields
    }
    return defaults | {
        "system": OptionDefault(settings.system, settings.system, source(bool(settings.system))),
        "split": OptionDefault(routing.split, routing.split, source("split" in routing.model_fields_set)),
    }
