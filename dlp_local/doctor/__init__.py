"""Looks at everything that an answer needs, and says what is not well and what to do."""

from dlp_local.doctor.result import CheckResult
from dlp_local.doctor.run import run_checks

__all__ = ["CheckResult", "run_checks"]
