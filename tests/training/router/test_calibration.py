"""Probabilities that can be believed."""

import numpy as np
import pytest

from dlp_local.training.router.calibration import best_temperature
from dlp_local.training.router.metrics import calibration_error


def test_the_temperature_that_made_the_labels_is_found():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 4))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(4, p=row) for row in true])
    assert best_temperature(logits * 3, truth) == pytest.approx(3, rel=0.05)


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    probabilities = np.array([[0.9, 0.1]] * 10)
    assert calibration_error(probabilities, np.array([0] * 9 + [1])) == pytest.approx(0, abs=1e-9)
    assert calibration_error(probabilities, np.array([0] * 5 + [1] * 5)) == pytest.approx(0.4)


def test_rows_that_are_all_right_do_not_make_a_router_certain():
    logits = np.array([[3.0, 0.0]] * 200)
    assert 0.4 < best_temperature(logits, np.zeros(200, np.intp)) < 1
