"""Looks at everything that an answer needs, and says what is not well and what to do."""

from dlp_local.doctor.check import Check
from dlp_local.doctor.run import run_checks

__all__ = ["Check", "run_checks"]
