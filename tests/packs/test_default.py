"""Which pack is opened."""

from pathlib import Path

import pytest

from dlp_local.core.errors import PackError
from dlp_local.packs.create import remove_pack
from dlp_local.packs.default import chosen_pack, pack_folder, set_default_pack
from dlp_local.packs.locations import bundled_pack, find_pack


def test_the_setting_goes_before_the_choice(mine, bundled):
    set_default_pack("mine")
    assert pack_folder(None) == mine
    assert pack_folder("bundled") == bundled_pack()
    assert pack_folder(str(bundled)) == bundled
    set_default_pack("bundled")
    assert pack_folder(None) == bundled_pack()


def test_a_folder_is_chosen_by_where_it_is_now(pack_copy, monkeypatch):
    monkeypatch.chdir(pack_copy.parent)
    set_default_pack("./pack")
    monkeypatch.chdir("/")
    assert pack_folder(None).samefile(pack_copy)


def test_a_name_goes_before_a_folder_of_that_name(mine, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_pack("mine") == mine
    assert find_pack("./mine") == Path("./mine")


def test_a_choice_that_is_gone_is_told_with_the_way_back(mine):
    set_default_pack("mine")
    remove_pack("mine")
    with pytest.raises(PackError, match=r"'mine': there is no pack .*pack use bundled"):
        pack_folder(None)
    assert chosen_pack() == "mine"
