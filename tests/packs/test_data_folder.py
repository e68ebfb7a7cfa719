"""Where the data folder cannot be one, every command that writes says what is in the way and what helps."""

import re
import sys

import pytest

from dlp_local.core.errors import DlpLocalError
from dlp_local.core.paths import history_file
from dlp_local.history import History
from dlp_local.hub.choice import parse_reference
from dlp_local.packs.create import copy_pack, start_pack
from dlp_local.packs.default import chosen_pack, set_default_pack
from dlp_local.packs.fetch import fetch

WRITERS = {
    "use": lambda bundled: set_default_pack("bundled"),
    "copy": lambda bundled: copy_pack("mine", bundled),
    "start": lambda bundled: start_pack("mine", bundled / "backbone.gguf"),
    "fetch": lambda bundled: fetch(parse_reference("hf:ana/model")),
    "history": lambda bundled: History(history_file()),
}


def is_file(path):
    path.write_text("mine")
    return "is no folder"


def is_link_to_nothing(path):
    if sys.platform == "win32":
        pytest.skip("links need a right there")
    path.symlink_to(path.with_name("nowhere"))
    return "is a link to nothing"


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("make", [is_file, is_link_to_nothing])
@pytest.mark.parametrize("beneath", ["", "beneath"])
def test_what_is_in_the_way_is_named_with_what_helps(tmp_path, monkeypatch, bundled, writer, make, beneath):
    reason = make(tmp_path / "data")
    monkeypatch.setenv("DLP_LOCAL_DATA", str(tmp_path / "data" / beneath))
    with pytest.raises(DlpLocalError, match=rf"{re.escape(str(tmp_path / 'data'))} {reason}.*DLP_LOCAL_DATA") as caught:
        WRITERS[writer](bundled)
    assert "File exists" not in str(caught.value)
    assert chosen_pack() is None


def test_a_choice_that_is_a_folder_is_told_in_plain_words(tmp_path, monkeypatch):
    monkeypatch.setenv("DLP_LOCAL_DATA", str(tmp_path))
    (tmp_path / "pack.txt").mkdir()
    with pytest.raises(DlpLocalError, match=r"pack\.txt: cannot be read \(.*\)\. Remove it"):
        chosen_pack()
