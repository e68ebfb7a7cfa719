"""The pack's adapters, changed from within the window while the engine runs."""

import subprocess
import sys

import pytest

from dlp_local.core.errors import PackError
from dlp_local.core.settings import load_settings
from dlp_local.core.values import AdapterChange
from dlp_local.opening import open_assistant
from dlp_local.packs import open_pack
from dlp_local.packs.create import copy_pack
from tests.support.fakes import Answer, FakeAssistant, Gate, loading
from tests.tui.window import READY, window
from tui.screens.adapters import AdaptersScreen

FIXED = "the bundled pack is never changed. Make one of your own: dlp-local pack create mine --from bundled"


async def listed(w):
    await w.say("/adapters")
    await w.until(lambda: isinstance(w.app.screen, AdaptersScreen))


async def test_every_adapter_is_listed_with_what_it_does():
    fake = FakeAssistant()
    fake.set_adapter("sql", AdapterChange(enabled=False))
    async with window(fake) as w:
        await listed(w)
        await w.sees("banking", "what banking does", "off  what sql does", "on   what dates does")
        await w.press("escape")
        await w.sees("Write a message")


async def test_one_is_added_while_one_goes_on_writing():
    fake = FakeAssistant()
    fake.change_gate = gate = Gate()
    async with window(fake) as w:
        await w.say("/adapters add ~/lora.gguf more 'x'")
        await w.sees("adding more")
        await w.type("a question")
        assert w.prompt.text == "a question"
        await w.press("enter")
        await w.sees("queued")
        gate.open()
        await w.sees("more is in the pack", "a fine answer", "7 adapters", READY)
        ((_, source, name, change),) = fake.changed
        assert (name, source.name, "~" in str(source)) == ("more", "lora.gguf", False)
        assert change.examples.name == "'x'"
    assert len(fake.threads) == 1


async def test_a_change_waits_for_the_answer_before_it_and_outlives_a_new_conversation():
    fake, gate = FakeAssistant(Answer(["one"], gate=Gate())), Gate()
    fake.script[0] = Answer(["one"], gate=gate)
    async with window(fake) as w:
        await w.say("question")
        await w.until(lambda: w.session.busy)
        await w.say("/adapters remove sql")
        assert fake.changed == []
        await w.press("ctrl+n")
        await w.sees("sql is no longer in the pack", "5 adapters")
        assert fake.changed == [("remove", "sql")]


@pytest.mark.parametrize(
    ("keys", "changed"),
    [
        (("a",), []),
        (("enter",), [("set", "banking", AdapterChange(enabled=False))]),
        (("f8",), []),
        (("f8", "down", "f8"), []),
        (("down", "f8", "f8"), [("remove", "dates")]),
    ],
)
async def test_the_keys_of_the_list(keys, changed):
    fake = FakeAssistant()
    async with window(fake) as w:
        await listed(w)
        await w.press(*keys)
        await w.press("escape")
        await w.until(lambda: not w.session.changing)
        assert fake.changed == changed
        assert w.prompt.text == ("/adapters add " if keys == ("a",) else "")


async def test_removing_is_asked_for_once_more():
    async with window(FakeAssistant()) as w:
        await listed(w)
        await w.press("f8")
        await w.sees("F8 once more takes banking out of the pack")


async def test_what_is_switched_off_is_switched_on_again():
    fake = FakeAssistant()
    async with window(fake) as w:
        await w.say("/adapters disable sql")
        await w.sees("No message goes to sql", "5 adapters")
        await w.say("/mix sql")
        await w.sees("there is no adapter 'sql'")
        await w.say("/adapters enable sql")
        await w.sees("Messages may go to sql again", "6 adapters")


async def test_a_pack_that_cannot_be_changed_says_what_to_do():
    fake = FakeAssistant()
    fake.read_only_reason = FIXED
    async with window(fake) as w:
        await w.say("/adapters add lora.gguf more")
        await w.sees("the bundled pack is never changed")
        w.app.clear_notifications()
        await listed(w)
        await w.press("f8", "f8", "a", "enter")
        assert isinstance(w.app.screen, AdaptersScreen)
        await w.sees("create mine --from bundled")
        assert fake.changed == []


async def test_a_change_that_fails_is_told_and_up_brings_the_command_back():
    fake = FakeAssistant()
    fake.change_error = PackError("lora.gguf: does not fit.")
    async with window(fake) as w:
        await w.say("/adapters add lora.gguf more")
        await w.sees("lora.gguf: does not fit.", "6 adapters", READY)
        await w.press("up")
        assert w.prompt.text == "/adapters add lora.gguf more"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("/adapters add", "name a file or folder"),
        ("/adapters add lora.gguf", "name a file or folder"),
        ("/adapters add a b c d", "name a file or folder"),
        ("/adapters remove", "say which adapter"),
        ("/adapters enable squeal", "there is no adapter 'squeal'"),
        ("/adapters polish sql", "'polish sql' is nothing"),
    ],
)
async def test_what_cannot_be_meant_is_told(command, told):
    fake = FakeAssistant()
    async with window(fake) as w:
        await w.say(command)
        await w.sees(told)
        assert fake.changed == []


async def test_a_change_waits_for_the_pack_and_the_list_says_that_it_is_loading():
    fake, gate = FakeAssistant(), Gate()
    async with window(loading(fake, gate), ready=False) as w:
        await w.say("/adapters")
        await w.sees("still being loaded")
        await w.say("/adapters remove sql")
        gate.open()
        await w.sees("sql is no longer in the pack", READY)


async def test_where_no_pack_could_be_loaded_there_is_none_to_change():
    gate = Gate()

    def refuse():
        gate.wait()
        raise PackError("damaged")

    async with window(refuse, ready=False) as w:
        await w.say("/adapters remove sql")
        gate.open()
        await w.sees("no pack is loaded")


async def test_an_adapter_is_stored_in_the_pack_and_routed_to_by_its_examples_at_once(bundled, tmp_path):
    pack = copy_pack("mine", bundled)
    examples = tmp_path / "my examples.txt"
    examples.write_text("is the invoice paid\nhas my invoice been paid yet\nwhen is the invoice due\n", "utf-8")
    async with window(lambda: open_assistant(load_settings(), pack), size=(120, 40)) as w:
        await w.say(f'/adapters add {bundled / "dates.gguf"} invoices "{examples}"')
        await w.sees("invoices is in the pack", "7 adapters")
        await w.say("is my invoice paid yet?")
        await w.sees("invoices 1.00", READY)
        assert open_pack(pack).examples("invoices")[0] == "is the invoice paid"
        before = (pack / "pack.toml").read_bytes()
        await w.say(f"/adapters add {examples} broken".replace("my examples.txt", "none.gguf"))
        await w.sees("cannot be read")
        assert (pack / "pack.toml").read_bytes() == before
        await w.say("/adapters remove invoices")
        await w.sees("6 adapters")
    assert "invoices" not in open_pack(pack).manifest.adapters
    assert not list((pack / "adapters").glob("invoices*"))


def test_the_plain_chat_changes_adapters_too_and_says_when_the_pack_is_the_bundled_one(bundled, tmp_path):
    def said(pack, *lines):
        command = [sys.executable, "-m", "dlp_local", "chat", "--plain", "--pack", str(pack)]
        process = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, timeout=120)
        assert process.returncode == 0, process.stderr
        return process.stdout

    pack = copy_pack("mine", bundled)
    out = said(pack, f"/adapters add {bundled / 'dates.gguf'} more", "/adapters disable sql", "/adapters")
    assert "more is in the pack: without examples, only /mix more asks it" in out
    assert "sql, off: a question" in out
    assert "more\n" in out
    assert "Error: the bundled pack is never changed" in said(bundled, "/adapters remove sql")
