"""No adapter is trained on a backbone that torch computes otherwise than llama.cpp: that is the one that runs."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from dlp_local.core.errors import PackError
from dlp_local.core.values import Message
from dlp_local.training.adapter.encoding import open_row_encoder
from dlp_local.training.adapter.fidelity import TOLERANCE, check_logits
from dlp_local.training.adapter.rows import TrainingRow

torch = pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("transformers", reason="needs the train extra")
torch.set_num_threads(1)

ROWS = [TrainingRow((Message("user", text),), "x") for text in ("count the cats", "4 July 1999", "hello")]


@pytest.fixture(scope="module")
def path(bundled):
    return bundled / "backbone.gguf"


@pytest.fixture(scope="module")
def backbone(path):
    from dlp_local.training.adapter.backbone import Backbone

    return Backbone(path)


def checked(backbone, path, assistant):
    with open_row_encoder(path, "", "turn", "") as encoder:
        return check_logits(backbone, assistant, encoder, ROWS)


def test_the_dequantized_backbone_gives_the_probabilities_of_llama_cpp(backbone, path, assistant):
    assert checked(backbone, path, assistant) < TOLERANCE / 2


def test_one_whose_tokens_are_in_another_order_is_refused(backbone, path, assistant):
    def shuffled(batch):
        logits, *rest = backbone.learned_logits(batch)
        return logits.roll(7, -1), *rest

    wrong = SimpleNamespace(path=Path("wrong.gguf"), learned_logits=shuffled)
    with pytest.raises(PackError, match=r"wrong\.gguf: is not computed here as llama\.cpp computes it"):
        checked(wrong, path, assistant)
