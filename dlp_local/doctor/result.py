"""The result of one check."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What was looked at, whether it is well, what was found, and what to do where it is not."""

    name: str
    is_well: bool
    detail: str
    next_step: str = ""
