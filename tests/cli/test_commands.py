"""What is stored, from the command line: ask that goes on with a conversation, history, personas, the plain chat."""

import json
import os
import re
import subprocess
import sys

import pytest

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.values import Correction, Mix
from dlp_local.history.model import BROKEN_OFF
from tests.support.command import COMMAND, out, refused, run
from tests.support.terminal import wait_until

LONG_NOISE = {
    f"DLP_LOCAL_SAMPLING__{name}": value
    for name, value in [
        ("TEMPERATURE", "5"),
        ("TOP_K", "0"),
        ("TOP_P", "1"),
        ("MIN_P", "0"),
        ("SEED", "1"),
        ("MAX_TOKENS", "4000"),
    ]
}
"""An answer that goes on for thousands of tokens."""


def test_what_is_piped_in_goes_along_with_the_message(stored):
    out("ask", "--save", "--max-tokens", "4", "repeat", stdin=b"one\n```\ntwo\n")
    (turn,) = stored.conversation(stored.last()).turns
    assert turn.text == "repeat\n\n````\none\n```\ntwo\n````"


def test_words_without_quotation_marks_are_one_message(stored):
    out("ask", "--save", "to", "ISO:", "4", "July", "1999")
    (turn,) = stored.conversation(stored.last()).turns
    assert (turn.text, turn.answer) == ("to ISO: 4 July 1999", "1999-07-04")


def test_stdin_is_left_alone_where_that_is_said(stored):
    out("ask", "--no-stdin", "--save", "to ISO: 4 July 1999", stdin=b"what the loop reads\n")
    (turn,) = stored.conversation(stored.last()).turns
    assert turn.text == "to ISO: 4 July 1999"
    for args in ((), ("-",), ("--jsonl", "-")):
        assert "--no-stdin leaves stdin alone" in refused(2, "ask", "--no-stdin", *args, stdin=b"x")


def test_a_veto_of_what_a_persona_or_a_conversation_pins_is_refused(stored):
    stored.set_persona("queries", ChatOptions(persona="queries", pinned={"sql": 1.0}))
    out("ask", "--save", "--persona", "queries", "--max-tokens", "1", "hello")
    for before, of in ((("--persona", "queries"), "the persona 'queries'"), (("--resume",), "the conversation")):
        said = refused(2, "ask", *before, "--veto", "sql", "hello")
        assert f"--veto: {of} pins 'sql'. Leave one of them out." in said
    assert out("ask", "--persona", "queries", "--veto", "shell", "--max-tokens", "1", "hello")


def test_a_file_that_a_message_names_is_told_to_be_no_part_of_it(tmp_path, stored):
    (tmp_path / "note.txt").write_text("6 May 2020", "utf-8")
    said = run("ask", "--save", f"@{tmp_path}/note.txt to ISO, @alice and '@{tmp_path}/none.txt'")
    assert said.stderr.count(b"without the file") == 1
    assert f"@{tmp_path}/note.txt goes as these words, without the file. Pipe it in".encode() in said.stderr
    assert "6 May" not in stored.conversation(stored.last()).turns[0].text
    assert b"without the file" not in run("ask", "to ISO: 4 July 1999, says @alice").stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX")
def test_a_loop_that_reads_stdin_goes_on_after_each_answer():
    loop = f'while read -r line; do {sys.executable} -m dlp_local ask --no-stdin "to ISO: $line"; done'
    process = subprocess.run(loop, shell=True, input=b"4 July 1999\n5 May 2020\n", capture_output=True, timeout=120)
    assert process.stdout == b"1999-07-04\n2020-05-05\n"


def test_an_empty_pipe_leaves_the_message_as_it_is():
    assert out("ask", "to ISO: 4 July 1999") == "1999-07-04\n"


def test_a_saved_turn_is_gone_on_with(stored):
    first = json.loads(out("ask", "--save", "--json", "to ISO: 4 July 1999"))
    second = json.loads(out("ask", "--continue", str(first["conversation"]), "--json", "to ISO: 5 July 1999"))
    third = json.loads(out("ask", "--resume", "--json", "to ISO: 6 July 1999"))
    assert first["conversation"] == second["conversation"] == third["conversation"]
    assert third["tokens"]["prompt"] > second["tokens"]["prompt"] > first["tokens"]["prompt"]
    path = stored.conversation(first["conversation"]).path()
    assert [turn.answer for turn in path] == ["1999-07-04", "1999-07-05", "1999-07-06"]
    assert all(turn.done and turn.pack == "bundled" for turn in path)


def test_without_save_nothing_is_stored(stored):
    out("ask", "to ISO: 4 July 1999")
    assert stored.last() is None


def test_ask_answers_as_a_persona_and_flags_go_over_it(stored):
    stored.set_persona("dates", ChatOptions(pinned={"dates": 1.0}, max_tokens=2))
    answer = json.loads(out("ask", "--persona", "dates", "--json", "to ISO: 4 July 1999"))
    assert answer["mix"] == {"dates": 1.0}
    assert answer["finish_reason"] == "length"
    longer = json.loads(out("ask", "--persona", "dates", "--max-tokens", "99", "--json", "to ISO: 4 July 1999"))
    assert longer["answer"] == "1999-07-04"
    assert "there is no persona 'nobody'. There are: dates" in refused(2, "ask", "--persona", "nobody", "hi")


def test_a_vetoed_adapter_is_not_chosen():
    assert json.loads(out("ask", "--veto", "dates", "--json", "--max-tokens", "3", "to ISO: 4 July 1999"))["mix"] == {
        "base": 1.0
    }


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--save", "--resume"), "one of --save"),
        (("--continue", "7"), "no conversation 7"),
        (("--temperature", "9"), "temperature: '9' cannot be used (give a number, 0 to 5)"),
        (("--scope", "all"), "scope"),
        (("--veto", "nobody"), "--veto: there is no adapter 'nobody'. There are: banking"),
        (("--save", "--jsonl", "rows.jsonl"), "--jsonl"),
    ],
)
def test_flags_that_cannot_be_are_told(args, told):
    assert told in refused(2, "ask", "hello", *args)


def test_the_message_and_the_part_that_came_survive_kill_9(stored):
    args = ["ask", "--save", "--stream", "--mix", "base", "go on"]
    asked = subprocess.Popen(
        [*COMMAND, *args],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env={**os.environ, **LONG_NOISE},
    )
    assert asked.stdout.read(40)
    wait_until(lambda: (last := stored.last()) and any(turn.answer for turn in stored.conversation(last).turns))
    asked.kill()
    asked.wait()
    (turn,) = stored.conversation(stored.last()).turns
    assert turn.text == "go on"
    assert turn.state == "sent"
    assert turn.answer
    out("ask", "--resume", "to ISO: 4 July 1999")
    first, second = stored.conversation(stored.last()).path()
    assert first.error == BROKEN_OFF
    assert first.answer.startswith(turn.answer)
    assert second.text == "to ISO: 4 July 1999"
    assert second.state == "done"


def test_a_read_only_folder_is_told_and_asking_without_saving_still_works(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    env = {"DLP_LOCAL_DATA": str(blocked)}
    process = run("ask", "--save", "to ISO: 4 July 1999", **env)
    assert process.returncode == 2
    assert "the history cannot be used" in process.stderr.decode()
    assert run("ask", "to ISO: 4 July 1999", **env).stdout == b"1999-07-04\n"


def test_history_lists_searches_shows_renames_and_removes(stored):
    assert "Nothing is stored yet" in out("history", "list")
    out("ask", "--save", "to ISO: 4 July 1999")
    out("history", "rename", "1", "\x1b[31mold dates")
    listed = out("history", "list")
    assert "␛[31mold dates" in listed
    assert "\x1b[31m" not in listed
    assert json.loads(out("history", "list", "--json"))["turns"] == 1
    assert "1999-07-04" in out("history", "show", "1")
    assert json.loads(out("history", "show", "1", "--json"))["turns"][0]["receipt"]["finish_reason"] == "stop"
    assert "July" in out("history", "search", "july", "19")
    assert "Nothing found" in out("history", "search", "august")
    out("history", "remove", "1")
    assert "no conversation 1" in refused(2, "history", "show", "1")
    out("history", "restore", "1")
    out("history", "remove", "--now", "1")
    assert "no conversation 1" in refused(2, "history", "restore", "1")


def test_a_damaged_history_is_told_where_it_was_kept(stored, tmp_path):
    path = stored.path
    stored.close()
    path.write_bytes(b"no database at all" * 100)
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    process = run("history", "list")
    assert process.stdout == b"Nothing is stored yet.\n"
    assert b"The history was damaged. It was kept as" in process.stderr
    assert len(list(path.parent.glob("history.db.damaged-*"))) == 1


def test_an_exported_conversation_is_imported_again(stored, tmp_path):
    out("ask", "--save", "to ISO: 4 July 1999")
    file = tmp_path / "talk.json"
    out("history", "export", "1", str(file))
    assert "is there already" in refused(2, "history", "export", "1", str(file))
    assert out("history", "import", str(file)) == "2  to ISO: 4 July 1999\n"
    one, two = stored.conversation(1), stored.conversation(2)
    assert [turn.done for turn in one.turns] == [turn.done for turn in two.turns]
    file.write_bytes(b"\xff")
    assert "is not UTF-8" in refused(2, "history", "import", str(file))
    assert "cannot be read" in refused(2, "history", "import", str(tmp_path / "none.json"))


def test_corrections_are_shown_and_forgotten(stored):
    assert out("router", "corrections") == "Nothing was corrected yet.\n"
    for text in ("count the cats", "boil \x1b[31man egg"):
        stored.correct(Correction(text, Mix(), "sql", "mine" if text.startswith("count") else ""))
    assert re.search(r"1  mine  sql +count the cats", out("router", "corrections"))
    rows = [json.loads(line) for line in out("router", "corrections", "--json").splitlines()]
    assert [(row["number"], row["right"], row["pack"]) for row in rows] == [(1, "sql", "mine"), (2, "sql", "")]
    assert "\x1b" not in out("router", "corrections")
    assert "say which" in refused(2, "router", "forget")
    assert "say which" in refused(2, "router", "forget", "1", "--all")
    assert "no correction 9" in refused(2, "router", "forget", "1", "9")
    out("router", "forget", "1")
    assert [correction.id for correction in stored.corrections()] == [2]
    out("router", "forget", "--all")
    assert stored.corrections() == []


def test_personas_are_stored_shown_and_forgotten():
    assert "There is none yet" in out("persona", "list")
    out("persona", "save", "terse", "--system", "Be brief.", "--mix", "sql=0.5", "--temperature", "0.5")
    assert "system Be brief." in out("persona", "list")
    assert "pinned sql=0.5" in out("persona", "list")
    assert json.loads(out("persona", "show", "terse"))["pinned"] == {"sql": 0.5}
    assert "pinned base" in out("persona", "save", "bare", "--mix", "base")
    assert "temperature" in refused(2, "persona", "save", "hot", "--temperature", "9")
    out("persona", "remove", "terse")
    assert "no persona 'terse'" in refused(2, "persona", "remove", "terse")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_completion(shell):
    # Typer looks for the shell that it was started from; a suite that runs in the background has none.
    script = out("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "dlp-local" in script or "dlp_local" in script.lower()


def test_numbers_personas_and_adapters_are_completed(stored):
    stored.set_persona("terse", ChatOptions())
    stored.start(title="about cats")

    def completed(line):
        env = {"_DLP_LOCAL_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
        return run(**env).stdout.decode().split()

    assert "terse" in completed("dlp-local ask --persona t")
    assert {"shell", "sql"} <= set(completed("dlp-local ask --mix s"))
    assert "1" in completed("dlp-local chat --continue ")
