"""Opening packs: everything that is wrong is said at once, by name."""

import os
import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.errors import PackError
from dlp_local.packs import open_pack
from dlp_local.packs.toml_lines import line_of


def edit(pack, old, new):
    manifest = pack / "pack.toml"
    text = manifest.read_text("utf-8")
    assert old in text
    manifest.write_text(text.replace(old, new, 1), "utf-8")


def test_the_bundled_pack_opens_and_names_its_six_adapters(bundled):
    pack = open_pack(bundled)
    assert sorted(pack.manifest.adapters) == ["banking", "dates", "describe", "extract", "shell", "sql"]
    assert [file.name for file in pack.adapter_files()] == sorted(pack.manifest.adapters)


def test_every_file_of_the_bundled_pack_says_its_license_and_attribution(bundled):
    for file in open_pack(bundled).manifest.files():
        assert file.license
        assert file.attribution


def test_the_bundled_pack_is_at_most_40_mb(bundled):
    assert sum(file.stat().st_size for file in bundled.iterdir()) <= 40_000_000


def test_a_folder_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(PackError, match=r"pack\.toml: cannot be read .*--pack"):
        open_pack(tmp_path)


def test_missing_and_damaged_files_are_listed_together(pack_copy):
    (pack_copy / "sql.gguf").unlink()
    with (pack_copy / "backbone.gguf").open("r+b") as file:
        file.truncate(1000)
    (pack_copy / "router.onnx").write_bytes(b"something else")
    with pytest.raises(PackError) as caught:
        open_pack(pack_copy)
    message = str(caught.value)
    assert "sql.gguf: cannot be read" in message
    assert "backbone.gguf: is damaged" in message
    assert "router.onnx: is damaged" in message
    assert "shell.gguf" not in message


def test_one_changed_byte_is_noticed(pack_copy):
    path = pack_copy / "dates.gguf"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(PackError, match=r"dates\.gguf: is damaged or was changed"):
        open_pack(pack_copy)


def test_every_wrong_field_of_a_manifest_is_listed(pack_copy):
    edit(pack_copy, 'name = "bundled"', 'name = "Not A Name"')
    edit(pack_copy, "format = 1", "format = 9")
    with pytest.raises(PackError, match=r"(?s)format: .*name: "):
        open_pack(pack_copy)


@pytest.mark.parametrize("path", ["../secret.gguf", "/etc/passwd", "a/../../b", "..\\\\b", "", "C:/x", "a\\u0000b"])
def test_a_manifest_cannot_name_files_outside_its_folder(pack_copy, path):
    edit(pack_copy, 'file = "sql.gguf"', f'file = "{path}"')
    with pytest.raises(PackError, match="must be a file inside the folder"):
        open_pack(pack_copy)


def test_each_problem_names_its_line_and_its_field(pack_copy):
    edit(pack_copy, "[adapters.sql]", '[adapters.sql]\nscale = "strong"\ncolour = "red"')
    edit(pack_copy, "[encoder]", "[encoder]\nsha255 = 1")
    with pytest.raises(PackError) as caught:
        open_pack(pack_copy)
    lines = (pack_copy / "pack.toml").read_text("utf-8").splitlines()
    told = dict(re.findall(r"line (\d+): (\S+): ", str(caught.value)))
    assert {lines[int(number) - 1]: field for number, field in told.items()} == {
        "sha255 = 1": "encoder.sha255",
        'scale = "strong"': "adapters.sql.scale",
        'colour = "red"': "adapters.sql.colour",
    }


def test_a_missing_field_is_told_at_its_table(pack_copy):
    edit(pack_copy, 'file = "sql.gguf"\n', "")
    with pytest.raises(PackError) as caught:
        open_pack(pack_copy)
    line = (pack_copy / "pack.toml").read_text("utf-8").splitlines().index("[adapters.sql]") + 1
    assert f"line {line}: adapters.sql.file: is missing (give text)" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[adapters.sql]", "[adapters.dates]", "Cannot declare .*adapters.*dates.* twice"),
        ("format = 1", "format = 1\nformat = 1", "Cannot overwrite a value"),
        ("format = 1", f"format = {'9' * 5000}", "not valid TOML"),
        ("format = 1", f"format = {'[' * 50_000}", "not valid TOML"),
        ("format = 1", "format = 1\nwarranty = 'none'", r"line \d+: warranty: there is nothing of that name"),
        ("[adapters.sql]", "[adapters.SQL]", r"line \d+: adapters\.SQL: is no name\. Use lower-case"),
        ("[adapters.sql]", '[adapters."../sql"]', "is no name"),
        ("[adapters.sql]", '[adapters."sql."]', "is no name.* end with no dot"),
        ("[adapters.sql]", "[adapters.nul]", "is no name.* devices of Windows"),
        ("[backbone]", "[backbone]\nsize = 99999999999999999999999", r"pack\.toml says 99999999999999999999999"),
        ("[backbone]", "[backbone]\nsize = 123", r"has 8084320 bytes, and pack\.toml says 123"),
        ("[backbone]", "[backbone]\nsize = -1", r"backbone\.size"),
        ("[backbone]", "[backbone]\ncontext = 1", r"backbone\.context"),
        ("[backbone]", "[backbone]\nstop = ['']", r"backbone\.stop: '' cannot be used \(give text that is not empty\)"),
        ("[backbone]", "[backbone]\nstop = 5", r"backbone\.stop: 5 cannot be used \(give a list of text\)"),
        ("[backbone]", "[backbone]\nhub = 5", r"backbone\.hub: 5 cannot be used \(give text\)"),
        (
            "[backbone]",
            "[backbone]\ndistribution = 'x'",
            r"distribution: 'x' cannot be used \(give a table of values\)",
        ),
        ("[adapters.sql]", "[adapters.sql]\nscope = [1]", r"scope: \[1\] cannot be used \(give 'turn' or 'context'\)"),
        ("[adapters.sql]", "[adapters.sql]\nenabled = 'off course'", r"enabled: 'off course' .*\(give true or false\)"),
        ("format = 1", "format = 2", "format: 2 is of a newer dlp-local"),
        ("format = 1", "format = 0", "format: there is no format 0"),
        ("format = 1", "format = 1\nsampling = {temperature = 9}", r"temperature: 9 cannot be used \(give a number, 0"),
        (
            "format = 1",
            "format = 1\nsampling = {stop = ['x']}",
            r"sampling: stop has its place in \[backbone\]",
        ),
        ("[adapters.sql]", "[adapters.sql]\nscale = nan", r"adapters\.sql\.scale"),
        ("[adapters.sql]", "[adapters.sql]\nscope = 'all'", r"adapters\.sql\.scope"),
        ('file = "sql.gguf"', 'file = ["sql.gguf"]', r"adapters\.sql\.file"),
        ("[backbone]", "[backbone]\nchat_template_file = {file = 'x'}", r"backbone\.chat_template_file\.sha256"),
        (
            "[backbone]",
            f"[backbone]\nchat_template = 'x'\nchat_template_file = {{file = 'x', sha256 = '{'0' * 64}'}}",
            r"line \d+: backbone: give chat_template or chat_template_file",
        ),
    ],
)
def test_a_manifest_that_cannot_be_is_refused_with_what_is_wrong(pack_copy, old, new, told):
    edit(pack_copy, old, new)
    with pytest.raises(PackError, match=told):
        open_pack(pack_copy)


def test_a_manifest_larger_than_any_is_refused_without_reading_it_all(pack_copy):
    with (pack_copy / "pack.toml").open("r+b") as file:
        file.truncate(10 << 30)
    with pytest.raises(PackError, match="is larger than 16 MiB"):
        open_pack(pack_copy)


def test_a_file_larger_than_promised_is_refused_without_reading_it(pack_copy):
    edit(pack_copy, 'file = "sql.gguf"', 'file = "sql.gguf"\nsize = 1269632')
    open_pack(pack_copy)
    with (pack_copy / "sql.gguf").open("r+b") as file:
        file.truncate(10 << 30)
    with pytest.raises(PackError, match="has 10737418240 bytes, and"):
        open_pack(pack_copy)


def linked(path, target):
    path.unlink()
    try:
        path.symlink_to(target)
    except OSError:
        pytest.skip("links are not allowed here")


@pytest.mark.parametrize("name", ["sql.gguf", "pack.toml"])
def test_a_link_to_outside_of_the_pack_is_refused(pack_copy, bundled, name):
    linked(pack_copy / name, bundled / name)
    with pytest.raises(PackError, match="is a link to a place outside of the pack"):
        open_pack(pack_copy)


def test_a_link_to_itself_or_nowhere_is_refused(pack_copy):
    linked(pack_copy / "sql.gguf", "sql.gguf")
    linked(pack_copy / "dates.gguf", "none.gguf")
    with pytest.raises(PackError, match=r"(?s)dates\.gguf: cannot be read.*sql\.gguf: cannot be read"):
        open_pack(pack_copy)


def test_a_link_inside_the_pack_and_a_link_to_the_pack_are_followed(pack_copy, tmp_path):
    (pack_copy / "sql.gguf").rename(pack_copy / "elsewhere.gguf")
    (pack_copy / "sql.gguf").write_bytes(b"")
    linked(pack_copy / "sql.gguf", "elsewhere.gguf")
    (tmp_path / "link").symlink_to(pack_copy)
    assert open_pack(tmp_path / "link").name == "bundled"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes in folders")
def test_what_is_no_real_file_is_refused_without_waiting_for_it(pack_copy):
    for name in ("sql.gguf", "dates.gguf"):
        (pack_copy / name).unlink()
    os.mkfifo(pack_copy / "sql.gguf")
    (pack_copy / "dates.gguf").mkdir()
    with pytest.raises(PackError, match=r"(?s)dates\.gguf: is no file.*sql\.gguf: is no file"):
        open_pack(pack_copy)


VALUES = [
    "1", '"# no [x]"', "'\\'", '"\\""', "{a = 1, b = [2]}", "[]", "[1,\n  2, # ]\n  3]", "[\n[1],\n]",
    '"""\n[x]\nkey = 1\n"""', "'''\n# \"no\n'''", '"""a "" \\""" b""""', "1979-05-27T07:32:00Z # \"",
]  # fmt: skip
KEYS = st.sampled_from(["key", "a.b", '"odd.key"', "'[x]'", '"#"'])


@given(
    st.dictionaries(
        st.sampled_from(["x", "y.z", '"w # ["', "v . 'u'"]),
        st.lists(st.tuples(KEYS, st.sampled_from(VALUES)), max_size=4, unique_by=lambda pair: pair[0]),
    ),
    st.sampled_from(["", "\n", "# a comment with ' and [\n"]),
)
def test_the_line_of_a_field_is_where_it_begins(tables, between):
    text, places = "", {}
    for header, entries in tables.items():
        text += between
        table = path_of(f"[{header}]")
        places[table] = 1 + text.count("\n")
        text += f"[{header}]  # here\n"
        for key, value in entries:
            text += between
            places[(*table, *path_of(f"{key} = 1"))] = 1 + text.count("\n")
            text += f"{key} = {value}\n"
    tomllib.loads(text)
    for field, line in places.items():
        assert line_of(text, field) == line
        assert line_of(text, (*field, "missing")) == line


def path_of(statement):
    value, path = tomllib.loads(statement), ()
    while isinstance(value, dict) and value:
        ((key, value),) = value.items()
        path += (key,)
    return path


def test_a_manifest_that_is_no_toml_is_refused_with_the_place(pack_copy):
    (pack_copy / "pack.toml").write_text("format = = 1", "utf-8")
    with pytest.raises(PackError, match=r"not valid TOML .*line 1"):
        open_pack(pack_copy)


def test_a_manifest_that_begins_with_a_byte_order_mark_is_read(pack_copy):
    path = pack_copy / "pack.toml"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert open_pack(pack_copy).name == "bundled"


def test_an_adapter_called_base_is_refused(pack_copy):
    edit(pack_copy, "[adapters.sql]", "[adapters.base]")
    with pytest.raises(PackError, match="no adapter may be called 'base'"):
        open_pack(pack_copy)


def test_routing_alone_needs_only_its_own_files(pack_copy):
    (pack_copy / "backbone.gguf").unlink()
    assert open_pack(pack_copy, only_routing=True).name == "bundled"
    (pack_copy / "router.onnx").unlink()
    with pytest.raises(PackError, match=r"router\.onnx: cannot be read"):
        open_pack(pack_copy, only_routing=True)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_read_permission_is_named(pack_copy):
    (pack_copy / "sql.gguf").chmod(0)
    with pytest.raises(PackError, match=r"sql\.gguf: cannot be read \(Permission denied\)"):
        open_pack(pack_copy)


def test_the_manifest_is_plain_toml(bundled):
    assert tomllib.loads((bundled / "pack.toml").read_text("utf-8"))["format"] == 1
