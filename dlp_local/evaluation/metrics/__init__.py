"""How answers are scored, by the metric of each row."""

from __future__ import annotations

from importlib.util import find_spec

from dlp_local.evaluation.metrics.choices import CHOICE, LIKELIHOOD
from dlp_local.evaluation.metrics.metric import Metric
from dlp_local.evaluation.metrics.overlap import BLEU, ROUGE_1, ROUGE_L
from dlp_local.evaluation.metrics.queries import SQL, SQL_ONE_ROW
from dlp_local.evaluation.metrics.words import COMMAND, EXACT, OBJECT, SLOT_F1

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        *(EXACT, CHOICE, LIKELIHOOD, OBJECT, SLOT_F1, COMMAND, SQL, SQL_ONE_ROW),
        *(BLEU, ROUGE_1, ROUGE_L),
    )
}
"""Every metric by its name."""

OF_JSON = frozenset({OBJECT.name, SLOT_F1.name})
"""Metrics of JSON objects and lists."""


def missing_package(name: str) -> str:
    """The package that a metric needs and that is not installed; nothing where all is there."""
    package = METRICS[name].package
    return package if package and find_spec(package) is None else ""


def reported_for(name: str, likelihood: bool) -> tuple[str, ...]:
    """A row's own metric, and those that are reported beside it; `likelihood`: whether each choice is scored, too."""
    also = (other for other in METRICS[name].also if not missing_package(other))
    return (name, *(other for other in also if other != LIKELIHOOD.name or likelihood))
