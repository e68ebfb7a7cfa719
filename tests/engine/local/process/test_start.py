"""How the engine's process starts, and what it says or does not say while it does."""

import io
import os
import pickle
import struct
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest

import dlp_local
from dlp_local.core.errors import EngineError
from dlp_local.engine.local.process import subprocess as engine_subprocess
from dlp_local.engine.local.process.client import EngineProcess
from dlp_local.engine.local.process.protocol import ProtocolError, receive
from tests.support.engine_process import MESSAGE
from tests.support.engines import ask, open_engine


def test_a_script_without_a_main_guard_can_use_the_assistant(bundled, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\nfrom dlp_local import open_assistant, ReplyDone\n"
        f"assistant = open_assistant(folder=Path({str(bundled)!r}))\n"
        "*_, done = assistant.reply('hello')\nprint(done.answer)\n",
        "utf-8",
    )
    root = Path(dlp_local.__file__).parents[1]
    ran = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True, text=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(root)}, timeout=120,
    )  # fmt: skip
    assert ran.stdout.startswith("Hello")
    assert ran.stderr == ""


def run_with(tmp_path, site, code):
    """Runs Python code in a project's process whose Python, and that of its children, runs `site` when it starts."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(textwrap.dedent(site), "utf-8")
    root = Path(dlp_local.__file__).parents[1]
    path = os.pathsep.join([str(folder), str(root)])
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True, text=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize(
    "site",
    [
        "print('loaded a plugin')",
        "print('loaded a plugin', flush=True)",
        "import os; os.write(1, b'\\x00\\x00\\x01\\x00' * 30_000)",
        "import sys; sys.stdout = sys.stderr",
        "import atexit; atexit.register(print, 'bye')",
    ],
)
def test_what_others_print_while_python_starts_does_not_matter(bundled, tmp_path, site):
    ran = run_with(
        tmp_path,
        site,
        f"""
        from pathlib import Path
        from dlp_local import open_assistant
        with open_assistant(folder=Path({str(bundled)!r})) as assistant:
            answer = assistant.reply("hello").finish().answer
        import sys; sys.stderr.write("answer: " + answer)
        """,
    )
    assert "answer: Hello" in ran.stderr


@pytest.mark.parametrize(
    ("site", "reason"),
    [
        ("import sys\nif '-c' in sys.argv and 'server' in sys.orig_argv[-1]: sys.exit('no engine here')", "no engine"),
        ("import sys\nif 'server' in sys.orig_argv[-1]:\n while True: print('x' * 10_000)", "something else prints"),
    ],
    ids=["ends", "prints for ever"],
)
def test_a_process_that_never_becomes_an_engine_is_told_within_seconds(bundled, tmp_path, site, reason):
    ran = run_with(
        tmp_path,
        site,
        f"""
        from pathlib import Path
        from dlp_local import open_assistant
        from dlp_local.core.errors import EngineError
        try:
            open_assistant(folder=Path({str(bundled)!r}))
        except EngineError as error:
            import sys; sys.stderr.write(f"told: {{error}}")
        """,
    )
    assert "told: " in ran.stderr
    assert reason in ran.stderr


class Unreadable:
    """What pickle cannot read back."""

    def __reduce__(self):
        return int, ("no number",)


@pytest.mark.parametrize(
    "frame",
    [
        struct.pack(">I", 2**31) + b"longer than anything",
        struct.pack(">I", 0),
        struct.pack(">I", 100) + b"cut off",
        b"\x00",
        *(
            struct.pack(">I", len(payload)) + payload
            for payload in (b"junk", pickle.dumps(5), pickle.dumps(Unreadable()))
        ),
    ],
    ids=["too long", "empty", "cut off", "half a length", "junk", "no message", "raises"],
)
def test_what_is_no_message_is_an_error_and_not_a_wait(frame):
    with pytest.raises(ProtocolError):
        receive(io.BytesIO(frame))


def test_a_process_that_sends_what_is_no_message_wakes_whoever_waits(bundled, monkeypatch):
    def fails(pipe):
        receive(pipe)
        raise ProtocolError("a message cannot be read")

    monkeypatch.setattr(engine_subprocess, "receive", fails)
    engine = open_engine(bundled, EngineProcess)
    with pytest.raises(EngineError, match="could not be read"):
        _ = engine.context_size
    monkeypatch.undo()
    assert ask(engine, MESSAGE)[0]
    engine.close()


def test_an_engine_that_is_closed_while_it_loads_says_so_to_whoever_waits(bundled):
    engine = open_engine(bundled, EngineProcess)
    told = []

    def wait():
        try:
            told.append(engine.context_size)
        except EngineError as error:
            told.append(str(error))

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.1)
    engine.close()
    waiting.join(20)
    assert len(told) == 1
    assert "engine is closed" in str(told[0])
    assert not psutil.pid_exists(engine.pid)
