"""What stands before and after the program: pipes, closed streams, a full disk, Ctrl+C, other encodings."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import COMMAND, failed, run


def test_ask_reads_the_message_from_stdin():
    for args in (("ask",), ("ask", "-")):
        assert run(*args, stdin=b"to ISO: 4 July 1999").stdout == b"1999-07-04\n"


def test_an_empty_stdin_is_refused():
    failed(run("ask"), 2, "message is empty")


def test_a_stdin_that_is_not_utf8_is_refused_with_the_place():
    failed(run("ask", "-", stdin=b"caf\xe9"), 2, "stdin: is not UTF-8 (byte 4)")
    failed(run("route", "-", stdin=b"fine\ncaf\xe9\n"), 2, "stdin, line 2: is not UTF-8")


def test_any_text_can_be_printed_whatever_the_encoding_of_the_pipe():
    process = run("route", "漢字", PYTHONIOENCODING="cp1252", PYTHONUTF8="0")
    assert process.returncode == 0
    assert "漢字" in process.stdout.decode("utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for a single process")
def test_ctrl_c_ends_the_answer_with_code_130(bundled):
    process = subprocess.Popen(
        [*COMMAND, "ask", "--jsonl", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where the tests run behind a `&`
    )
    row = json.dumps({"text": "word " * 600}).encode() + b"\n"
    process.stdin.write(row)
    process.stdin.flush()
    assert b'"answer"' in process.stdout.readline()
    process.stdin.write(row * 18)
    process.stdin.flush()
    assert b'"answer"' in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    process.stdin.close()
    assert process.wait(timeout=60) == 130
    assert rest.count(b"\n") < 17


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX")
def test_a_reader_that_goes_away_gives_no_traceback():
    process = subprocess.run(
        f"yes 'to ISO: 1 May 2020' | head -200 | {sys.executable} -m dlp_local route - --json | head -1",
        shell=True,
        capture_output=True,
        timeout=120,
    )
    assert b"Traceback" not in process.stderr
    assert process.stdout.count(b"\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX")
@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("ask <&-", 2, "message is empty"),
        ("ask - <&-", 2, "message is empty"),
        ("ask --jsonl - <&-", 0, ""),
        ("route - <&-", 0, ""),
        ("ask hello <&-", 0, ""),
        ("ask hello >&-", 0, ""),
        ("route hello >&-", 0, ""),
    ],
)
def test_a_closed_stream_reads_and_writes_nothing(command, code, words):
    process = subprocess.run(
        f"{sys.executable} -m dlp_local {command}", shell=True, stdin=subprocess.DEVNULL, capture_output=True
    )
    assert words in failed(process, code)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("args", [("ask", "hello"), ("ask", "hello", "--json"), ("route", "hello")])
def test_output_that_finds_no_room_is_said(args):
    with Path("/dev/full").open("wb") as full:
        process = subprocess.run([*COMMAND, *args], stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE)
    failed(process, 1, "found no room", "No space left")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="arguments are UTF-8 there, or names of files")
def test_an_argument_that_is_not_utf8_is_refused_unless_it_names_a_file(tmp_path):
    def call(*args):
        return subprocess.run([*COMMAND, *args], stdin=subprocess.DEVNULL, capture_output=True)

    for args in (("route", b"caf\xe9"), ("ask", "x", "--mix", b"\xe9"), ("ask", "x", "--system", b"\xe9")):
        failed(call(*args), 2, "is not UTF-8")
    rows = tmp_path / os.fsdecode(b"\xe9.jsonl")
    rows.write_bytes(b'{"text": "to ISO: 4 July 1999"}\n')
    assert b"1999-07-04" in call("ask", "--jsonl", rows).stdout


def test_ctrl_c_while_the_program_is_still_loading_ends_it_without_a_traceback():
    code = (
        "import sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'dlp_local.cli.main': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "from dlp_local.__main__ import main\n"
        "main()\n"
    )
    failed(subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120), 130)
