"""An adapter that came after the router was trained, told from all others by a detector of its own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.errors import PackError
from dlp_local.core.values import BASE
from dlp_local.routing.classifier import Classifier
from dlp_local.routing.corrections import Corrections
from dlp_local.routing.detector import MOST_ODDS, OWN, Detector
from dlp_local.training.router.detector import fit_detector, own_odds, shifted

DIMS = 8


def messages(direction, count, seed):
    """Unit vectors around one axis."""
    rng = np.random.default_rng(seed)
    vectors = np.eye(DIMS)[direction] + 0.2 * rng.standard_normal((count, DIMS))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def fitted():
    others = np.concatenate([messages(1, 30, 1), messages(2, 30, 2)])
    return fit_detector(messages(0, 20, 0), others, ["one"] * 30 + ["two"] * 30, messages(3, 30, 3))


@pytest.fixture(scope="module")
def file(fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("detector") / "detector.onnx"
    fitted.write(path, "an encoder", is_small=True)
    return path


def test_messages_of_its_own_have_high_odds_and_those_of_others_and_nobodys_have_low_ones(fitted):
    assert own_odds(fitted, messages(0, 50, 9)).min() > 1
    for direction in (1, 2, 3):
        assert own_odds(fitted, messages(direction, 50, 10 + direction)).max() < 0.5


def test_the_file_gives_the_odds_that_were_fitted(fitted, file):
    x = np.concatenate([messages(direction, 9, 20 + direction) for direction in range(5)])
    ours, files = own_odds(fitted, x), Detector(file, DIMS, 1).odds(x)
    assert np.allclose(np.log(np.clip(ours, 1e-6, MOST_ODDS)), np.log(np.clip(files, 1e-6, MOST_ODDS)), atol=0.2)


@given(st.floats(-4, 4))
def test_a_shift_multiplies_the_odds_and_nothing_else(fitted, shift):
    x = messages(1, 5, 30)
    assert np.allclose(own_odds(shifted(fitted, shift), x), own_odds(fitted, x) * np.exp(shift), rtol=1e-3)


def test_its_odds_stand_beside_the_other_labels_which_keep_their_order_and_all_sum_to_one(file):
    new = Detector(file, DIMS, 1)
    nothing = Corrections((), np.zeros((0, DIMS), np.float32), ())
    examples = {"one": messages(1, 9, 1), "two": messages(2, 9, 2)}
    before = Classifier.of(None, examples, nothing, DIMS)
    after = Classifier.of(None, examples, nothing, DIMS, detectors={"new": new})
    assert after.labels == (*before.labels, "new")
    for direction in range(4):
        x = messages(direction, 1, 40 + direction)
        old, now = before.probabilities(x), after.probabilities(x)
        assert sum(now.values()) == pytest.approx(1)
        assert now["new"] / (1 - now["new"]) == pytest.approx(float(new.odds(x)[0]), rel=1e-3)
        rest = {name: p / (1 - now["new"]) for name, p in now.items() if name != "new"}
        assert rest == pytest.approx(old, rel=1e-3, abs=1e-6)
    assert after.corrected("text", messages(1, 1, 1)[0], BASE).labels == after.labels


def test_a_router_is_no_detector_and_one_of_another_encoder_is_none_here(bundled, file):
    with pytest.raises(PackError, match="no detector of one adapter"):
        Detector(bundled / "router.onnx", 512, 1)
    with pytest.raises(PackError, match="takes 8 numbers, and the encoder gives 512"):
        Detector(file, 512, 1)


def test_no_adapter_can_be_called_as_a_detector_calls_its_own():
    from dlp_local.core.errors import InputError
    from dlp_local.core.names import check_adapter_name

    with pytest.raises(InputError):
        check_adapter_name(OWN)
