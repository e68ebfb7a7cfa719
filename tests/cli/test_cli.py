"""The command line as a user calls it: a process of its own, its output and its exit code."""

import hashlib
import json
import os
import subprocess
import sys

import pytest

from tests.support.command import failed, run


def test_ask_prints_the_answer_and_nothing_else():
    process = run("ask", "to ISO: the 3rd of February 2021")
    assert process.returncode == 0
    assert process.stdout.decode() == "2021-02-03\n"
    assert process.stderr == b""


def test_ask_streams_the_same_text():
    message = "hello, what can you do?"
    assert run("ask", message, "--stream").stdout == run("ask", message, "--no-stream").stdout


def test_ask_json_has_the_documented_fields():
    answer = json.loads(run("ask", "to ISO: 4 July 1999", "--json").stdout)
    receipt = {"mix", "probabilities", "finish_reason", "tokens", "context", "timings_ms"}
    assert set(answer) == {"text", "answer"} | receipt
    assert answer["answer"] == "1999-07-04"
    assert answer["finish_reason"] == "stop"
    assert set(answer["tokens"]) == {"prompt", "cached", "answer"}
    assert set(answer["timings_ms"]) == {"embed", "router", "route", "first_token", "total"}
    assert sum(answer["mix"].values()) == pytest.approx(1)
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_a_mix_by_hand_is_used_as_given():
    answer = json.loads(run("ask", "to ISO: 4 July 1999", "--mix", "sql=0.5,shell=0.25", "--json").stdout)
    assert answer["mix"] == {"sql": 0.5, "shell": 0.25, "base": 0.25}
    base = json.loads(run("ask", "to ISO: 4 July 1999", "--mix", "base", "--json").stdout)
    assert base["mix"] == {"base": 1.0}
    assert base["answer"] != "1999-07-04"


def test_rows_are_answered_in_order_and_a_bad_row_does_not_end_the_rest(tmp_path):
    good = b'{"text": "to ISO: 4 July 1999"}\n', b'{"text": "to ISO: 1 May 2020"}\n'
    odd = b'{"text": "\\ud83d half"}\n' + b"[" * 100_000 + b"\n"
    rows = good[0] + b'not json\n{"other": 1}\n\n{"text": ""}\n\xff\xfe\n' + odd + good[1]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(rows)
    for process in (run("ask", "--jsonl", path), run("ask", "--jsonl", "-", stdin=rows)):
        results = [json.loads(line) for line in process.stdout.splitlines()]
        assert [result.get("answer") for result in results] == ["1999-07-04", *[None] * 6, "2020-05-01"]
        assert [result["row"] for result in results if "error" in result] == [2, 3, 5, 6, 7, 8]
        failed(process, 1)


def test_rows_with_the_mark_of_utf_16_are_answered(tmp_path):
    rows = '{"text": "to ISO: 4 July 1999"}\r\n{"text": "to ISO: 1 May 2020"}\r\n'.encode("utf-16")
    (tmp_path / "rows.jsonl").write_bytes(rows)
    answers = [
        json.loads(line)["answer"] for line in run("ask", "--jsonl", tmp_path / "rows.jsonl").stdout.splitlines()
    ]
    assert answers == ["1999-07-04", "2020-05-01"]


def test_route_prints_a_table_with_bars():
    output = run("route", "tar: extract archive.tar.gz into /tmp").stdout.decode()
    assert "shell" in output
    assert "█" in output
    assert "ms embed" in output


def test_route_json_has_the_documented_fields():
    decision = json.loads(run("route", "tar: extract archive.tar.gz", "--json").stdout)
    assert set(decision) == {"text", "probabilities", "mix", "timings_ms"}
    assert set(decision["timings_ms"]) == {"embed", "router", "route"}
    assert max(decision["mix"], key=decision["mix"].get) == "shell"
    assert "base" in decision["probabilities"]


def test_route_reads_one_message_a_line():
    process = run("route", "-", "--json", stdin="to ISO: 1 May 2020\n\nMy card is lost — help\n".encode())
    assert [json.loads(line)["text"] for line in process.stdout.splitlines()] == [
        "to ISO: 1 May 2020",
        "My card is lost — help",
    ]


def test_top_p_and_normalize_change_the_mix():
    message = "I lost my card in a restaurant"
    wide = json.loads(run("route", message, "--json", "--top-p", "1", "--normalize", "softmax").stdout)
    narrow = json.loads(run("route", message, "--json", "--top-p", "0.01").stdout)
    assert len(wide["mix"]) > len(narrow["mix"]) == 1


def test_help_names_the_commands_and_the_exit_codes():
    output = run("--help").stdout.decode()
    for word in ("chat", "ask", "route", "Exit codes"):
        assert word in output
    assert run("--version").stdout.startswith(b"dlp-local ")


@pytest.mark.parametrize("message", ["", "   "])
@pytest.mark.parametrize("command", ["ask", "route"])
def test_an_empty_message_is_refused(command, message):
    failed(run(command, message), 2, "message is empty")


def test_a_message_of_100_kb_is_refused_with_numbers_and_routed_in_a_moment():
    text = ("word " * 20_000).encode()
    failed(run("ask", "-", stdin=text), 2, "too long", "tokens")
    assert run("route", "-", "--json", stdin=text).returncode == 0


def test_control_characters_are_answered():
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
def test_wrong_usage_is_refused_with_code_2(args, words):
    failed(run(*args), 2, *words)


def test_a_missing_pack_is_refused_with_code_3(tmp_path):
    for command in ("ask", "route"):
        failed(run(command, "x", "--pack", tmp_path / "none"), 3, "there is no pack of that name", "pack list")
    failed(run("route", "x", "--pack", "bundeld"), 3, "Did you mean 'bundled'?")


def test_a_model_that_is_no_gguf_is_refused_with_code_3(pack_copy):
    manifest = pack_copy / "pack.toml"
    old = hashlib.sha256((pack_copy / "backbone.gguf").read_bytes()).hexdigest()
    (pack_copy / "backbone.gguf").write_bytes(b"PK no model")
    new = hashlib.sha256(b"PK no model").hexdigest()
    manifest.write_text(manifest.read_text("utf-8").replace(old, new), "utf-8")
    failed(run("ask", "x", "--pack", pack_copy), 3, "backbone.gguf: is not a GGUF file")


def test_a_damaged_pack_is_refused_with_code_3(pack_copy):
    (pack_copy / "shell.gguf").write_bytes(b"GGUF")
    failed(run("ask", "x", "--pack", pack_copy), 3, "shell.gguf: is damaged")


def test_a_home_that_cannot_be_read_or_written_does_not_matter():
    nowhere = os.devnull + "/home"
    folders = ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")
    process = run("ask", "to ISO: 4 July 1999", DLP_LOCAL_CONFIG="", **dict.fromkeys(folders, nowhere))
    assert process.stdout == b"1999-07-04\n", process.stderr


def test_a_chat_without_a_terminal_is_refused():
    failed(run("chat"), 2, "needs a terminal", "dlp-local ask")


def test_settings_come_from_the_environment():
    answer = json.loads(run("ask", "hello, what can you do?", "--json", DLP_LOCAL_SAMPLING__MAX_TOKENS="3").stdout)
    assert answer["tokens"]["answer"] == 3
    failed(run("ask", "x", DLP_LOCAL_SAMPLING__MAX_TOKENS="many"), 2, "sampling.max_tokens")


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
