"""What stands before and after the program: pipes, closed streams, a full disk, Ctrl+C, other encodings."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dlp_local.cli import terminal
from dlp_local.cli.main import main
from dlp_local.core.errors import ExitCode, InputError
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
        ("ask hello >&-", 1, "is lost, for stdout is closed"),
        ("route hello >&-", 1, "is lost, for stdout is closed"),
        ("--help >&-", 1, "is lost, for stdout is closed"),
        ("ask --jsonl - <&- >&-", 0, ""),
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


def test_an_interrupt_that_a_module_would_lose_ends_the_program_while_it_is_loading():
    code = (
        "import signal, sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'dlp_local.cli.main':\n"
        "            try: signal.raise_signal(signal.SIGINT)\n"
        "            except KeyboardInterrupt: raise ImportError('initialization failed')\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "from dlp_local.__main__ import main\n"
        "main()\n"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120)
    assert (process.returncode, process.stderr) == (ExitCode.INTERRUPTED, b"")


def test_nothing_is_loaded_before_the_program_can_be_interrupted():
    code = (
        "import sys; before = {*sys.modules}; import dlp_local.__main__\n"
        "print(*sorted({*sys.modules} - before)); print(dlp_local.__main__.INTERRUPTED)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    loaded, code = process.stdout.splitlines()
    assert set(loaded.split()) <= {"__future__", "dlp_local", "dlp_local.__main__"}
    assert int(code) == ExitCode.INTERRUPTED


def test_an_interrupt_while_onnxruntime_is_loaded_ends_the_program_and_not_the_module():
    code = (
        "import signal, sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'onnxruntime':\n"
        "            try: signal.raise_signal(signal.SIGINT)\n"
        "            except KeyboardInterrupt: raise ImportError('initialization failed')\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "sys.argv = ['dlp-local', 'route', 'x', '--pack', 'bundled']\n"
        "from dlp_local.__main__ import main\n"
        "main()\n"
    )
    failed(subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120), ExitCode.INTERRUPTED)


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX")
@pytest.mark.parametrize(
    ("before", "redirection", "reason"),
    [
        ("ulimit -f 0; ", ">{}/out.txt", "File too large"),
        ("", "1</dev/null", "Bad file descriptor"),
        ("PYTHONUNBUFFERED=1 ", "1</dev/null", "Bad file descriptor"),
    ],
)
@pytest.mark.parametrize("command", ["pack list", "chat --plain"])
def test_whatever_refuses_the_output_is_told_in_plain_words(before, redirection, reason, command, tmp_path):
    line = f"{before}{sys.executable} -m dlp_local {command} {redirection.format(tmp_path)}"
    process = subprocess.run(line, shell=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    failed(process, 1, f"what was to be written was refused ({reason}). Send it to another place.")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file of Linux that nobody can read the beginning of")
@pytest.mark.parametrize("args", [("ask", "hello"), ("ask", "-"), ("chat", "--plain")])
def test_a_stdin_that_cannot_be_read_is_told(args):
    process = subprocess.run(
        f"{sys.executable} -m dlp_local {' '.join(args)} </proc/self/mem", shell=True, capture_output=True, timeout=120
    )
    assert process.returncode == 2
    assert b"Traceback" not in process.stderr
    assert b"stdin: cannot be read (Input/output error)" in process.stdout + process.stderr


def test_a_stdin_without_an_end_is_refused_before_it_fills_the_memory(monkeypatch):
    monkeypatch.setattr(terminal, "MAX_TEXT", 1 << 20)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"x" * ((1 << 20) + 1))))
    with pytest.raises(InputError, match="stdin: is larger than 1 MiB"):
        terminal.read_stdin()


def test_what_the_system_refuses_of_a_file_is_told_with_its_name(monkeypatch, capsys):
    def app(**_):
        return Path("/no/such/folder/x").stat()

    monkeypatch.setattr("dlp_local.cli.main.app", app)
    monkeypatch.setattr("sys.argv", ["dlp-local"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "/no/such/folder/x: cannot be used (No such file or directory)" in capsys.readouterr().err
