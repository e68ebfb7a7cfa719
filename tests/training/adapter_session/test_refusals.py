"""What a training refuses before anything is begun: nothing is left of it, and the pack is as it was."""

import filelock
import pytest

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.paths import data_folder
from dlp_local.core.settings import Settings
from dlp_local.training.adapter import gguf_config, torch_extra
from dlp_local.training.adapter.choices import Choices
from dlp_local.training.adapter.events import TrainingRequest
from dlp_local.training.adapter.session import train_adapters
from tests.support.pack_state import pack_state

FLORA = Choices(method="flora")


@pytest.fixture
def folder(mine):
    before = pack_state(mine)
    yield mine
    assert pack_state(mine) == before
    assert not (data_folder() / "training").exists()


@pytest.fixture
def as_if_installed(monkeypatch):
    monkeypatch.setattr(torch_extra, "PACKAGES", ())


def refusal(folder, *args, kind=InputError, **more):
    with pytest.raises(kind) as refused:
        train_adapters(TrainingRequest(folder, *args, **more), Settings()).finish()
    return str(refused.value)


@pytest.mark.parametrize("name", ["Sql", "a/b", "", "base", "../x"])
def test_a_name_that_no_adapter_may_have_is_refused(folder, rows, name):
    assert "adapter: " in refusal(folder, {name: rows})


def test_a_pack_of_the_program_is_never_trained_into(bundled, rows):
    before = pack_state(bundled)
    said = refusal(bundled, {"capitals": rows})
    assert "dlp-local pack create mine --from bundled && dlp-local pack use mine" in said
    assert pack_state(bundled) == before


def test_several_adapters_want_a_method_of_several_and_one_wants_one_of_one(folder, rows):
    assert "trains one adapter. Use --method flora" in refusal(folder, {"a": rows, "b": rows})
    assert "trains several adapters at once" in refusal(folder, {"a": rows}, FLORA)
    assert "--held-out: is for one adapter" in refusal(folder, {"a": rows, "b": rows}, FLORA, held_out=rows)


def test_without_torch_the_command_that_installs_it_is_told(folder, rows, monkeypatch):
    monkeypatch.setattr(torch_extra, "PACKAGES", ("no_such_package", "nor_this_one"))
    said = refusal(folder, {"capitals": rows})
    assert "training needs no_such_package, nor_this_one, which are not installed" in said
    assert torch_extra.INSTALL in said


@pytest.mark.usefixtures("as_if_installed")
class TestWithTorch:
    def test_a_pack_without_its_backbone_says_so(self, mine, rows):
        (mine / "backbone.gguf").unlink()
        assert "backbone.gguf" in refusal(mine, {"capitals": rows}, kind=PackError)

    def test_a_backbone_that_cannot_be_trained_on_is_told_before_anything_is_loaded(self, folder, rows, monkeypatch):
        monkeypatch.setattr(gguf_config, "FAMILIES", {"gemma": None})
        said = refusal(folder, {"capitals": rows}, kind=PackError)
        assert "the architecture llama cannot be trained on here" in said
        assert "gemma" in said

    def test_rows_that_cannot_be_read_and_too_few_of_them_are_told(self, folder, tmp_path):
        assert "cannot be read" in refusal(folder, {"capitals": tmp_path / "nowhere.jsonl"})
        few = tmp_path / "few.jsonl"
        few.write_text('{"prompt": "a", "answer": "b"}\n')
        assert "training needs 10 rows" in refusal(folder, {"capitals": few})
        assert "every row to train on is held out" in refusal(folder, {"capitals": few}, held_out=few)

    def test_a_second_training_of_the_same_adapter_is_told_of_the_first(self, mine, rows):
        place = data_folder() / "training" / "mine" / "capitals"
        place.mkdir(parents=True)
        with filelock.FileLock(place / ".lock"):
            assert "another process trains 'capitals' already" in refusal(mine, {"capitals": rows})
