"""A pack that another program changes while it is open: seen at once, taken over once, and never by two threads."""

import os
import threading

import pytest

from dlp_local.core.errors import EngineError, PackError
from dlp_local.core.values import AdapterChange
from dlp_local.packs.adapters import set_adapter
from dlp_local.packs.manifest import read_manifest
from dlp_local.packs.watch import PackWatch


class Known:
    """A manifest as it was read last, and how often that was."""

    def __init__(self, folder):
        self.folder, self.manifest, self.refreshed = folder, read_manifest(folder), 0
        self.watch = PackWatch(folder)

    def refresh(self):
        self.manifest = read_manifest(self.folder)
        self.refreshed += 1

    def look(self):
        return self.watch.take_over(self.manifest, self.refresh)


@pytest.fixture
def known(pack_copy):
    return Known(pack_copy)


def test_a_pack_that_is_as_it_was_is_left_alone(known):
    assert [known.look(), known.look(), known.refreshed] == [False, False, 0]


def test_each_change_is_taken_over_once(known):
    for scale in (0.5, 0.75):
        set_adapter(known.folder, "sql", AdapterChange(scale=scale))
        assert [known.look(), known.look()] == [True, False]
        assert known.manifest.adapters["sql"].scale == scale


def test_a_change_before_the_first_look_is_taken_over_too(pack_copy):
    known = Known(pack_copy)
    set_adapter(pack_copy, "sql", AdapterChange(scale=0.5))
    assert known.look()


def test_a_change_of_ones_own_needs_nothing_more(known):
    set_adapter(known.folder, "sql", AdapterChange(scale=0.5))
    known.refresh()
    assert not known.look()
    assert known.refreshed == 1


def test_a_file_that_was_only_touched_is_no_change(known):
    os.utime(known.folder / "pack.toml", (1, 1))
    assert not known.look()


def test_a_pack_that_is_gone_goes_on_as_it_is_open(known):
    (known.folder / "pack.toml").unlink()
    assert not known.look()


def test_what_cannot_be_taken_over_is_told_once_for_each_change(known):
    def refuse():
        raise EngineError("no memory")

    for scale in (0.5, 0.75):
        set_adapter(known.folder, "sql", AdapterChange(scale=scale))
        with pytest.raises(EngineError):
            known.watch.take_over(known.manifest, refuse)
        assert not known.watch.take_over(known.manifest, refuse)
    (known.folder / "pack.toml").write_text("no manifest")
    with pytest.raises(PackError):
        known.look()
    assert not known.look()


def test_while_one_thread_takes_a_change_over_others_go_on(known):
    set_adapter(known.folder, "sql", AdapterChange(scale=0.5))
    begun, may_end = threading.Event(), threading.Event()

    def refresh():
        begun.set()
        assert may_end.wait(60)

    first = threading.Thread(target=known.watch.take_over, args=(known.manifest, refresh))
    first.start()
    assert begun.wait(60)
    set_adapter(known.folder, "sql", AdapterChange(scale=0.75))
    assert not known.look()
    may_end.set()
    first.join()
    assert known.look()
