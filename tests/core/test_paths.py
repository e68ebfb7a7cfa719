"""`~` and variables in a path, wherever no shell has seen it."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dlp_local.cli.main import app
from dlp_local.core.errors import DlpLocalError, InputError
from dlp_local.core.files import read_text
from dlp_local.core.paths import config_file, data_folder, user_path
from dlp_local.core.settings import load_settings
from dlp_local.packs.locations import find_pack
from tui.attachments import mentioned

LONG = "x" * 300
"""More than the name of a file may have."""


@pytest.fixture
def home(monkeypatch, tmp_path):
    """A home of the test's own, where `work` holds a row, some text and no pack."""
    home = tmp_path / "home"
    (home / "work").mkdir(parents=True)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("WORK", str(home / "work"))
    (home / "work" / "rows.jsonl").write_text('{"text": "to ISO: 4 July 1999", "adapter": "dates"}\n', "utf-8")
    return home


def test_home_and_variables_are_filled_in_and_the_rest_stays(home):
    assert user_path("~/work") == user_path("$WORK") == user_path("${WORK}") == home / "work"
    assert user_path("~") == home
    for other in ("a~b", "./~/x", "~nobody-of-that-name/x", "$NO_SUCH_VARIABLE/x", "/x/~"):
        assert user_path(other) == Path(other)


def test_the_environments_paths_are_the_users(home, monkeypatch):
    monkeypatch.delenv("DLP_LOCAL_PACK")
    monkeypatch.setenv("DLP_LOCAL_DATA", "~/kept")
    monkeypatch.setenv("DLP_LOCAL_CONFIG", "$WORK/config.toml")
    assert data_folder() == home / "kept"
    (home / "work" / "config.toml").write_text('pack = "~/work"\n', "utf-8")
    assert config_file() == home / "work" / "config.toml"
    assert find_pack(load_settings().pack) == home / "work"


def test_a_configuration_with_a_byte_order_mark_is_read(home, monkeypatch):
    monkeypatch.setenv("DLP_LOCAL_CONFIG", str(home / "config.toml"))
    (home / "config.toml").write_bytes(b"\xef\xbb\xbf[sampling]\r\nmax_tokens = 1\r\n")
    assert load_settings().sampling.max_tokens == 1


def test_flags_and_arguments_take_them(home):
    def run(*args):
        return CliRunner().invoke(app, args, catch_exceptions=False)

    assert run("ask", "--jsonl=~/work/rows.jsonl").output.count("1999-07-04") == 1
    assert json.loads(run("router", "eval", "~/work/rows.jsonl", "--json").output)["accuracy"] == 1
    run("ask", "--save", "to ISO: 4 July 1999")
    assert run("history", "export", "1", "$WORK/talk.json").exit_code == 0
    assert "1999-07-04" in read_text(home / "work" / "talk.json")
    assert run("history", "import", "~/work/talk.json", "$WORK/talk.json").exit_code == 0


@pytest.mark.parametrize(
    "args",
    [
        ("route", "x", "--pack=~/work"),
        ("adapters", "add", "~/none", "--name", "x", "--pack", "~/work"),
        ("pack", "create", "x", "--backbone=~/none"),
        ("pack", "create", "x", "--backbone=b", "--chat-template=~/none"),
        ("pack", "show", "~/work"),
        ("router", "train", "--examples=~/none", "--out=~/out"),
        ("router", "eval", "~/none"),
        ("history", "import", "~/none"),
    ],
)
def test_what_cannot_be_read_is_told_under_its_whole_path(home, args):
    result = CliRunner().invoke(app, args)
    assert isinstance(result.exception, DlpLocalError)
    assert str(home) in str(result.exception)


@pytest.mark.parametrize(
    "text",
    ["see (@rows.jsonl)", "see [@rows.jsonl], please", 'see "@rows.jsonl".', "see '@rows.jsonl'", "“@rows.jsonl”",
     "@rows.jsonl: what is it?", "is it in @rows.jsonl?!", "@rows.jsonl's first line", "(see @rows.jsonl)",
     "{@rows.jsonl}",
     'see (@"rows.jsonl")', "@rows.jsonl,then", "看 @rows.jsonl。", "@rows.jsonl:12", "<“@rows.jsonl”>"],
)  # fmt: skip
def test_a_file_is_found_whatever_punctuation_stands_around_it(home, monkeypatch, text):
    monkeypatch.chdir(home / "work")
    assert [path.name for path in mentioned(text)] == ["rows.jsonl"]


@pytest.mark.parametrize(
    ("text", "missing"),
    [("see (@none.txt)", ["none.txt"]), ("see @./none.", ["none"]), ("(@none/at/all).", ["all"]),
     ("mail a@none.txt", []), ('from "@angular/core"', []), ("require('@types/node')", []),
     ("`@types/node`", []), ("(@alice)", []), ("(@)", []), ("[@click=app.quit]z[/]", []),
     ('<a @click="to/b.txt">', [])],
)  # fmt: skip
def test_a_path_that_is_not_there_is_named_and_what_is_none_stays_text(home, monkeypatch, text, missing):
    monkeypatch.chdir(home / "work")
    assert [path.name for path in mentioned(text)] == missing


def test_a_file_named_in_a_message_is_found(home):
    assert mentioned("look at @~/work/rows.jsonl") == [home / "work" / "rows.jsonl"]


@pytest.mark.parametrize("text", ["who is @?", "mail me @.", "@, and then", "@..."])
def test_punctuation_behind_an_at_sign_names_no_file(text):
    assert mentioned(text) == []


@pytest.mark.parametrize(
    ("path", "problem"),
    [("x" * 300, "is too long for a file's name"), ("a/" * 3_000, "is too long"),
     ("a\0b", r"'a\\0b': holds a character"),
     ("~a\0b/x", "holds a character"), ("\ud800", "holds a character")],
)  # fmt: skip
@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells a long name otherwise")
def test_what_can_be_no_path_is_refused_where_a_person_gives_it(path, problem):
    with pytest.raises(InputError, match=problem):
        user_path(path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells a long name otherwise")
@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("route", "x", "--pack", LONG), 3),
        (("pack", "show", LONG), 3),
        (("pack", "create", "x", "--from", LONG), 3),
        (("pack", "create", "x", "--backbone", LONG), 2),
        (("pack", "create", "x", "--backbone", f"./{LONG}/{LONG}"), 2),
        (("adapters", "train", "x", LONG), 2),
        (("history", "import", LONG), 2),
    ],
)
def test_a_name_that_no_file_system_takes_is_told_by_every_command(args, code):
    result = CliRunner().invoke(app, args)
    assert isinstance(result.exception, DlpLocalError)
    assert result.exception.exit_code == code
    assert "too long" in str(result.exception) or "no such folder" in str(result.exception)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells a long name otherwise")
@pytest.mark.parametrize(("name", "args"), [("DATA", ("history", "list")), ("CONFIG", ("route", "x"))])
def test_a_name_that_no_file_system_takes_is_told_where_the_environment_has_it(monkeypatch, tmp_path, name, args):
    monkeypatch.setenv(f"DLP_LOCAL_{name}", str(tmp_path / LONG))
    with pytest.raises(InputError, match="is too long for a file's name"):
        CliRunner().invoke(app, args, catch_exceptions=False)


@pytest.mark.parametrize("quotes", ['""', "''", "“”", "„“", "„”", "‘’", "«»"])
def test_a_path_with_spaces_is_taken_in_every_kind_of_quotation_marks(home, monkeypatch, quotes):
    monkeypatch.chdir(home / "work")
    Path("my file.txt").write_text("x", "utf-8")
    name = f"{quotes[0]}my file.txt{quotes[1]}"
    assert [path.name for path in mentioned(f"see @{name}, please")] == ["my file.txt"]
    assert [path.name for path in mentioned(f"(@{name})")] == ["my file.txt"]
    assert [path.name for path in mentioned(f"see @{quotes[0]}my talk{quotes[1]}")] == ["my talk"]


@pytest.mark.parametrize("text", ["@'s place isn't far", "the @'s and the @’s", "@“ alone", "@'one\ntwo'"])
def test_an_apostrophe_opens_no_path(text):
    assert mentioned(text) == []
