"""An adapter that a training replaced is kept: it comes back, is copied and checked with its pack, and goes with it."""

import pytest

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.values import AdapterChange
from dlp_local.hub.choice import parse_reference
from dlp_local.packs import open_pack
from dlp_local.packs.adapters import add_adapter, remove_adapter, rollback_adapter, verify_pack
from dlp_local.packs.create import copy_pack
from dlp_local.packs.fetch import fetch
from dlp_local.packs.manifest import read_manifest
from tests.support.hub_server import Repo
from tests.support.pack_state import pack_state


@pytest.fixture
def replaced(mine, bundled, tmp_path):
    """A pack whose adapter `sql` was replaced, and what `pack.toml` said of the one before."""
    examples = tmp_path / "rows.txt"
    examples.write_text("count the cats\n")
    before = read_manifest(mine).adapters["sql"]
    change = AdapterChange(examples=examples, scope="context")
    add_adapter(mine, bundled / "dates.gguf", "sql", change, replace=True, keep_before=True)
    return mine, before


def test_the_one_before_is_kept_as_it_was_and_the_new_one_has_what_was_said_of_it(replaced):
    folder, before = replaced
    manifest = read_manifest(folder)
    now = manifest.adapters["sql"]
    assert manifest.adapters_before == {"sql": before}
    assert (now.description, now.examples) == (before.description, before.examples)
    assert (folder / before.file).exists()
    assert verify_pack(open_pack(folder)) == []


def test_rolling_back_changes_the_two_each_time_and_loses_nothing(replaced):
    folder, before = replaced
    state, now = pack_state(folder), read_manifest(folder).adapters["sql"]
    rollback_adapter(folder, "sql")
    assert read_manifest(folder).adapters["sql"] == before
    assert read_manifest(folder).adapters_before["sql"] == now
    assert now.examples_file
    rollback_adapter(folder, "sql")
    manifest = read_manifest(folder)
    assert (manifest.adapters["sql"], manifest.adapters_before["sql"]) == (now, before)
    assert pack_state(folder).keys() == state.keys()


def test_one_that_is_trained_twice_has_the_last_before_it_and_no_file_of_the_first(replaced, bundled):
    folder, first = replaced
    second = read_manifest(folder).adapters["sql"]
    add_adapter(folder, bundled / "shell.gguf", "sql", replace=True, keep_before=True)
    assert read_manifest(folder).adapters_before == {"sql": second}
    assert not (folder / first.file).exists()


def test_a_new_adapter_has_none_before_it(mine, bundled):
    add_adapter(mine, bundled / "sql.gguf", "more", replace=True, keep_before=True)
    assert read_manifest(mine).adapters_before == {}
    with pytest.raises(InputError, match=r"no adapter before this 'more'\. `dlp-local adapters remove more`"):
        rollback_adapter(mine, "more")
    with pytest.raises(InputError, match=r"there is no adapter 'sqk'\. Did you mean 'sql'"):
        rollback_adapter(mine, "sqk")


def test_a_removed_adapter_takes_the_one_before_it_along(replaced):
    folder, before = replaced
    remove_adapter(folder, "sql")
    assert read_manifest(folder).adapters_before == {}
    assert "adapters_before" not in (folder / "pack.toml").read_text("utf-8")
    assert not (folder / before.file).exists()


def test_a_damaged_one_is_told_by_verify_and_does_not_come_back_but_the_pack_opens(replaced):
    folder, before = replaced
    file = folder / before.file
    file.unlink()  # the bundled pack has the same bytes
    file.write_bytes(b"GGUF")
    pack = open_pack(folder)
    assert any(before.file in problem for problem in verify_pack(pack))
    state = pack_state(folder)
    with pytest.raises(PackError, match="'sql' stays as it is"):
        rollback_adapter(folder, "sql")
    assert pack_state(folder) == state


def test_a_copy_of_the_pack_has_both(replaced):
    folder, before = replaced
    copy = copy_pack("copy", folder)
    assert verify_pack(open_pack(copy)) == []
    rollback_adapter(copy, "sql")
    assert read_manifest(copy).adapters["sql"].sha256 == before.sha256
    assert read_manifest(folder).adapters_before["sql"] == before


def test_a_pack_that_is_fetched_has_both(replaced, hub):
    folder, before = replaced
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    files["pack.toml"] = files["pack.toml"].replace(b'name = "mine"', b'name = "ana"')
    hub.repos["ana/pack"] = Repo(files)
    fetched = fetch(parse_reference("hf:ana/pack")).path
    assert verify_pack(open_pack(fetched)) == []
    assert read_manifest(fetched).adapters_before["sql"] == before


def test_a_manifest_of_inline_tables_is_rolled_back_as_well(replaced):
    folder, before = replaced
    manifest = folder / "pack.toml"
    text = manifest.read_text("utf-8")
    entry = f'{{file = "{before.file}", sha256 = "{before.sha256}"}}'
    head = text[: text.index("[adapters_before.sql]")]
    manifest.write_text(f"adapters_before = {{sql = {entry}}}\n{head}", "utf-8")
    rollback_adapter(folder, "sql")
    rollback_adapter(folder, "sql")
    assert read_manifest(folder).adapters_before["sql"].sha256 == before.sha256
