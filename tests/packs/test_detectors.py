"""The detector of an adapter is a file of its pack: it comes, goes and is copied with its adapter."""

import numpy as np
import pytest

from dlp_local.core.errors import PackError
from dlp_local.core.values import AdapterChange
from dlp_local.packs import open_pack
from dlp_local.packs.adapters import add_adapter, remove_adapter, rollback_adapter, set_adapter, verify_pack
from dlp_local.packs.create import copy_pack
from dlp_local.training.router.detector import fit_detector
from tests.support.router_rows import open_pack_router, top

FRENCH = [f"{ask} '{word}' to french" for ask in ("translate", "please translate", "could you translate") for word in
          ("good night", "the house", "a cat", "thank you", "see you soon")]  # fmt: skip


@pytest.fixture
def examples(tmp_path):
    file = tmp_path / "french.txt"
    file.write_text("\n".join(FRENCH))
    return file


@pytest.fixture
def french(mine, bundled, examples, tmp_path):
    """A pack with an adapter that has a detector."""
    router = open_pack_router(mine)
    own = router.example_embeddings(FRENCH)
    others = router.example_embeddings(["what is the weather in Paris?", "to ISO: the 3rd of February 2021"])
    detector = tmp_path / "detector.onnx"
    fit_detector(own, others, ["actions", "dates"], np.zeros((0, router.dims), np.float32)).write(detector, "")
    add_adapter(mine, bundled / "sql.gguf", "french", AdapterChange(examples=examples, detector=detector))
    return mine


def test_its_messages_go_to_the_adapter_also_in_a_copy_of_the_pack(french):
    copy = copy_pack("copy", french)
    for folder in (french, copy):
        assert verify_pack(open_pack(folder)) == []
        assert set(open_pack(folder).detectors()) == {"french"}
        assert top(open_pack_router(folder), "translate 'good evening' to french") == "french"


def test_other_examples_take_it_away_and_other_words_about_the_adapter_do_not(french, examples):
    file = open_pack(french).detectors()["french"]
    set_adapter(french, "french", AdapterChange(description="words"))
    assert open_pack(french).detectors() == {"french": file}
    set_adapter(french, "french", AdapterChange(examples=examples))
    assert open_pack(french).detectors() == {}
    assert not file.exists()


def test_one_that_is_replaced_comes_back_with_its_detector(french, bundled, examples):
    file = open_pack(french).detectors()["french"]
    change = AdapterChange(examples=examples)
    add_adapter(french, bundled / "dates.gguf", "french", change, replace=True, keep_before=True)
    assert open_pack(french).detectors() == {}
    rollback_adapter(french, "french")
    assert open_pack(french).detectors() == {"french": file}


def test_one_that_is_switched_off_or_removed_is_not_routed_to(french):
    file = open_pack(french).detectors()["french"]
    set_adapter(french, "french", AdapterChange(enabled=False))
    assert open_pack(french).detectors() == {}
    assert "french" not in open_pack_router(french).labels
    remove_adapter(french, "french")
    assert not file.exists()


def test_a_damaged_one_is_told_before_anything_is_routed(french):
    file = open_pack(french).detectors()["french"]
    file.chmod(0o644)
    file.write_bytes(b"no model")
    with pytest.raises(PackError, match="is damaged or was changed"):
        open_pack(french, only_routing=True)
