"""The command line as a user calls it: a process of its own, its output and its exit code."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def run(tmp_path):
    """Runs `dlp-local …` and returns the finished process; stdin is closed unless given."""

    def call(*args, stdin=b"", env=None, cwd=None):
        return subprocess.run(
            [sys.executable, "-m", "dlp_local", *map(str, args)],
            input=stdin,
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": "utf-8", **(env or {})},
            cwd=cwd,
            timeout=120,
        )

    return call


def refused(process, code, *words):
    """The process failed with `code` and one clear message."""
    error = process.stderr.decode()
    assert process.returncode == code, error
    assert "Traceback" not in error
    for word in words:
        assert word in error
    return error


def test_ask_prints_the_answer_and_nothing_else(run):
    process = run("ask", "to ISO: the 3rd of February 2021")
    assert process.returncode == 0
    assert process.stdout.decode() == "2021-02-03\n"
    assert process.stderr == b""


def test_ask_reads_the_message_from_stdin(run):
    for args in (("ask",), ("ask", "-")):
        assert run(*args, stdin=b"to ISO: 4 July 1999").stdout == b"1999-07-04\n"


def test_ask_streams_the_same_text(run):
    message = "hello, what can you do?"
    assert run("ask", message, "--stream").stdout == run("ask", message, "--no-stream").stdout


def test_ask_json_has_the_documented_fields(run):
    answer = json.loads(run("ask", "to ISO: 4 July 1999", "--json").stdout)
    receipt = {"mix", "probabilities", "finish_reason", "tokens", "context", "timings_ms"}
    assert set(answer) == {"text", "answer"} | receipt
    assert answer["answer"] == "1999-07-04"
    assert answer["finish_reason"] == "stop"
    assert set(answer["tokens"]) == {"prompt", "cached", "answer"}
    assert set(answer["timings_ms"]) == {"embed", "router", "route", "first_token", "total"}
    assert sum(answer["mix"].values()) == pytest.approx(1)
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_a_mix_by_hand_is_used_as_given(run):
    answer = json.loads(run("ask", "to ISO: 4 July 1999", "--mix", "sql=0.5,shell=0.25", "--json").stdout)
    assert answer["mix"] == {"sql": 0.5, "shell": 0.25, "base": 0.25}
    base = json.loads(run("ask", "to ISO: 4 July 1999", "--mix", "base", "--json").stdout)
    assert base["mix"] == {"base": 1.0}
    assert base["answer"] != "1999-07-04"


def test_rows_are_answered_in_order_and_a_bad_row_does_not_end_the_rest(run, tmp_path):
    good = b'{"text": "to ISO: 4 July 1999"}\n', b'{"text": "to ISO: 1 May 2020"}\n'
    odd = b'{"text": "\\ud83d half"}\n' + b"[" * 100_000 + b"\n"
    rows = good[0] + b'not json\n{"other": 1}\n\n{"text": ""}\n\xff\xfe\n' + odd + good[1]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(rows)
    for process in (run("ask", "--jsonl", path), run("ask", "--jsonl", "-", stdin=rows)):
        results = [json.loads(line) for line in process.stdout.splitlines()]
        assert [result.get("answer") for result in results] == ["1999-07-04", *[None] * 6, "2020-05-01"]
        assert [result["row"] for result in results if "error" in result] == [2, 3, 5, 6, 7, 8]
        refused(process, 1)


def test_rows_with_the_mark_of_utf_16_are_answered(run, tmp_path):
    rows = '{"text": "to ISO: 4 July 1999"}\r\n{"text": "to ISO: 1 May 2020"}\r\n'.encode("utf-16")
    (tmp_path / "rows.jsonl").write_bytes(rows)
    answers = [
        json.loads(line)["answer"] for line in run("ask", "--jsonl", tmp_path / "rows.jsonl").stdout.splitlines()
    ]
    assert answers == ["1999-07-04", "2020-05-01"]


def test_route_prints_a_table_with_bars(run):
    output = run("route", "tar: extract archive.tar.gz into /tmp").stdout.decode()
    assert "shell" in output
    assert "█" in output
    assert "ms embed" in output


def test_route_json_has_the_documented_fields(run):
    decision = json.loads(run("route", "tar: extract archive.tar.gz", "--json").stdout)
    assert set(decision) == {"text", "probabilities", "mix", "timings_ms"}
    assert set(decision["timings_ms"]) == {"embed", "router", "route"}
    assert max(decision["mix"], key=decision["mix"].get) == "shell"
    assert "base" in decision["probabilities"]


def test_route_reads_one_message_a_line(run):
    process = run("route", "-", "--json", stdin="to ISO: 1 May 2020\n\nMy card is lost — help\n".encode())
    assert [json.loads(line)["text"] for line in process.stdout.splitlines()] == [
        "to ISO: 1 May 2020",
        "My card is lost — help",
    ]


def test_top_p_and_normalize_change_the_mix(run):
    message = "I lost my card in a restaurant"
    wide = json.loads(run("route", message, "--json", "--top-p", "1", "--normalize", "softmax").stdout)
    narrow = json.loads(run("route", message, "--json", "--top-p", "0.01").stdout)
    assert len(wide["mix"]) > len(narrow["mix"]) == 1


def test_help_names_the_commands_and_the_exit_codes(run):
    output = run("--help").stdout.decode()
    for word in ("chat", "ask", "route", "Exit codes"):
        assert word in output
    assert run("--version").stdout.startswith(b"dlp-local ")


@pytest.mark.parametrize("message", ["", "   "])
@pytest.mark.parametrize("command", ["ask", "route"])
def test_an_empty_message_is_refused(run, command, message):
    refused(run(command, message), 2, "message is empty")


def test_an_empty_stdin_is_refused(run):
    refused(run("ask"), 2, "message is empty")


def test_a_message_of_100_kb_is_refused_with_numbers_and_routed_in_a_moment(run):
    text = ("word " * 20_000).encode()
    refused(run("ask", "-", stdin=text), 2, "too long", "tokens")
    assert run("route", "-", "--json", stdin=text).returncode == 0


def test_a_stdin_that_is_not_utf8_is_refused_with_the_place(run):
    refused(run("ask", "-", stdin=b"caf\xe9"), 2, "stdin: is not UTF-8 (byte 4)")
    refused(run("route", "-", stdin=b"fine\ncaf\xe9\n"), 2, "stdin, line 2: is not UTF-8")


def test_control_characters_are_answered(run):
    assert run("ask", "a\x01b\x1b[31mred", "--max-tokens", "4").returncode == 0


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("ask", "x", "--mix", "poems"), ("no adapter 'poems'", "shell")),
        (("ask", "x", "--mix", "sql=two"), ("cannot read 'sql=two'",)),
        (("ask", "x", "--mix", "sql=0.9,shell=0.9"), ("add up to 1.8",)),
        (("ask", "x", "--mix", "sql=-1"), ("weight of 'sql' is -1",)),
        (("ask", "x", "--temperature", "-1"), ("temperature",)),
        (("ask", "x", "--max-tokens", "0"), ("max_tokens",)),
        (("ask", "x", "--jsonl", "-"), ("--jsonl answers its own rows",)),
        (("ask", "--jsonl", "/no/such/file"), ("/no/such/file: cannot be read",)),
        (("route", "x", "--top-p", "0"), ("routing.top_p",)),
        (("route", "x", "--normalize", "max"), ("routing.normalize",)),
        (("nonsense",), ("nonsense",)),
        (("chat", "--continue", "x"), ("--continue", "give a whole number")),
        (("route", "x", "--top-p", "much"), ("--top-p", "give a number")),
        (("adapters", "set", "sql", "--scope", "all"), ("--scope", "'turn'", "'context'")),
        (("histroy",), ("Did you mean 'history'",)),
        (("history", "lst"), ("Did you mean 'list'",)),
        (("ask", "x", "--mix", "sqll"), ("Did you mean 'sql'",)),
        (("adapters", "show", "bankin"), ("Did you mean 'banking'",)),
        (("pack", "create", "x", "--backbone", "smolm2"), ("Did you mean", "smollm2-1.7b-instruct")),
        (("pull", "smol"), ("Did you mean", "smollm2-1.7b-instruct")),
    ],
)
def test_wrong_usage_is_refused_with_code_2(run, args, words):
    refused(run(*args), 2, *words)


def test_a_missing_pack_is_refused_with_code_3(run, tmp_path):
    for command in ("ask", "route"):
        refused(run(command, "x", "--pack", tmp_path / "none"), 3, "there is no pack of that name", "pack list")
    refused(run("route", "x", "--pack", "bundeld"), 3, "Did you mean 'bundled'?")


def test_a_model_that_is_no_gguf_is_refused_with_code_3(run, pack_copy):
    manifest = pack_copy / "pack.toml"
    old = hashlib.sha256((pack_copy / "backbone.gguf").read_bytes()).hexdigest()
    (pack_copy / "backbone.gguf").write_bytes(b"PK no model")
    new = hashlib.sha256(b"PK no model").hexdigest()
    manifest.write_text(manifest.read_text("utf-8").replace(old, new), "utf-8")
    refused(run("ask", "x", "--pack", pack_copy), 3, "backbone.gguf: is not a GGUF file")


def test_any_text_can_be_printed_whatever_the_encoding_of_the_pipe(run):
    process = run("route", "漢字", env={"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"})
    assert process.returncode == 0
    assert "漢字" in process.stdout.decode("utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for a single process")
def test_ctrl_c_ends_the_answer_with_code_130(bundled):
    process = subprocess.Popen(
        [sys.executable, "-m", "dlp_local", "ask", "--jsonl", "-"],
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


def test_a_damaged_pack_is_refused_with_code_3(run, pack_copy):
    (pack_copy / "shell.gguf").write_bytes(b"GGUF")
    refused(run("ask", "x", "--pack", pack_copy), 3, "shell.gguf: is damaged")


def test_a_home_that_cannot_be_read_or_written_does_not_matter(run):
    nowhere = os.devnull + "/home"
    folders = ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")
    process = run("ask", "to ISO: 4 July 1999", env={"DLP_LOCAL_CONFIG": "", **dict.fromkeys(folders, nowhere)})
    assert process.stdout == b"1999-07-04\n", process.stderr


def test_a_chat_without_a_terminal_is_refused(run):
    refused(run("chat"), 2, "needs a terminal", "dlp-local ask")


def test_settings_come_from_the_environment(run):
    answer = json.loads(
        run("ask", "hello, what can you do?", "--json", env={"DLP_LOCAL_SAMPLING__MAX_TOKENS": "3"}).stdout
    )
    assert answer["tokens"]["answer"] == 3
    refused(run("ask", "x", env={"DLP_LOCAL_SAMPLING__MAX_TOKENS": "many"}), 2, "sampling.max_tokens")


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX")
def test_a_reader_that_goes_away_gives_no_traceback(run):
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
    assert words in refused(process, code)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("args", [("ask", "hello"), ("ask", "hello", "--json"), ("route", "hello")])
def test_output_that_finds_no_room_is_said(args):
    with Path("/dev/full").open("wb") as full:
        process = subprocess.run(
            [sys.executable, "-m", "dlp_local", *args], stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE
        )
    refused(process, 1, "found no room", "No space left")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="arguments are UTF-8 there, or names of files")
def test_an_argument_that_is_not_utf8_is_refused_unless_it_names_a_file(tmp_path):
    def call(*args):
        return subprocess.run([sys.executable, "-m", "dlp_local", *args], stdin=subprocess.DEVNULL, capture_output=True)

    for args in (("route", b"caf\xe9"), ("ask", "x", "--mix", b"\xe9"), ("ask", "x", "--system", b"\xe9")):
        refused(call(*args), 2, "is not UTF-8")
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
    refused(subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120), 130)


def test_the_product_never_imports_torch_and_routes_without_llama_cpp():
    code = (
        "import sys, dlp_local.cli.main as c\n"
        "sys.argv = ['dlp-local', 'route', 'hello', '--json']\n"
        "try: c.main()\n"
        "except SystemExit as e: assert e.code == 0, e.code\n"
        "bad = {'torch', 'sklearn', 'transformers', 'sentence_transformers', 'textual'} & set(sys.modules)\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=120)
