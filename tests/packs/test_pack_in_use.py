"""A pack that changes while it is open, and what it says of its backbone."""

import hashlib
from functools import partial

import pytest
import tomlkit

from dlp_local import Mix, ReplyDone, open_assistant
from dlp_local.assistant import Assistant
from dlp_local.core.errors import InputError, PackError
from dlp_local.core.settings import load_settings
from dlp_local.core.values import AdapterChange
from dlp_local.engine.local.process.client import EngineProcess
from dlp_local.opening import defaults_for, open_router, settings_for
from dlp_local.packs import open_pack
from dlp_local.packs.adapters import set_adapter
from dlp_local.packs.create import start_pack
from tests.support.lora import read_pairs, write_lora
from tests.support.prompts import PROMPTS

SQL = PROMPTS["sql"][0]


@pytest.fixture
def opened(mine):
    with open_assistant(load_settings(), mine) as assistant:
        yield assistant


def answer(assistant, text=SQL, **options):
    *_, done = assistant.reply(text, **options)
    assert isinstance(done, ReplyDone)
    return done.answer


def told(folder, **values):
    """`pack.toml` with these values in `[backbone]`."""
    document = tomlkit.parse((folder / "pack.toml").read_text("utf-8"))
    document["backbone"].update(values)
    (folder / "pack.toml").write_text(tomlkit.dumps(document), "utf-8")
    return folder


# ---- while it runs ----


def test_an_adapter_is_added_to_a_running_assistant_and_to_its_pack(opened, mine, bundled):
    wanted = answer(opened, mix=Mix.of({"sql": 1.0}))
    opened.add_adapter(bundled / "sql.gguf", "more", AdapterChange(description="again"))
    assert answer(opened, mix=Mix.of({"more": 1.0})) == wanted
    assert opened.adapters == tuple(sorted([*PROMPTS, "more"]))
    assert open_pack(mine).manifest.adapters["more"].description == "again"


def test_a_removed_adapter_is_gone_from_the_running_assistant_and_from_its_pack(opened, mine):
    assert opened.route(SQL).mix.as_dict().get("sql", 0) > 0.5
    opened.remove_adapter("sql")
    assert "sql" not in opened.adapters
    assert opened.route(SQL).mix == Mix()
    with pytest.raises(InputError, match="no adapter 'sql'"):
        answer(opened, mix=Mix.of({"sql": 1.0}))
    assert "sql" not in open_pack(mine).manifest.adapters


def test_a_scale_that_is_set_holds_at_once_and_switched_off_means_neither_loaded_nor_routed_to(opened):
    strong, mix = answer(opened), Mix.of({"sql": 1.0})
    opened.set_adapter("sql", AdapterChange(scale=0.03125))
    weak = answer(opened, mix=mix)
    assert weak != strong
    opened.set_adapter("sql", AdapterChange(scale=1.0))
    assert answer(opened, mix=mix) == strong
    opened.set_adapter("sql", AdapterChange(enabled=False))
    assert opened.route(SQL).mix == Mix()
    with pytest.raises(InputError, match="'sql' is switched off"):
        answer(opened, mix=mix)
    opened.set_adapter("sql", AdapterChange(enabled=True))
    assert answer(opened) == strong


def test_what_another_process_changed_is_taken_over(opened, mine):
    set_adapter(mine, "sql", AdapterChange(enabled=False))
    assert "sql" in opened.adapters
    opened.refresh()
    assert "sql" not in opened.adapters


def test_an_adapter_that_does_not_fit_leaves_the_assistant_and_the_pack_as_they_were(opened, mine, bundled, tmp_path):
    before, manifest = answer(opened), (mine / "pack.toml").read_bytes()
    foreign = write_lora(tmp_path / "foreign.gguf", read_pairs(bundled / "sql.gguf"), arch="qwen2")
    with pytest.raises(PackError, match="architecture qwen2"):
        opened.add_adapter(foreign, "foreign")
    assert (mine / "pack.toml").read_bytes() == manifest
    assert answer(opened) == before


class Refusing(EngineProcess):
    """An engine that takes no further adapter."""

    def add_adapter(self, file):
        raise PackError("refused")


def test_an_adapter_that_the_engine_refuses_is_taken_out_of_the_pack_again(mine, bundled):
    before = (mine / "pack.toml").read_bytes()
    pack, settings = open_pack(mine), load_settings()
    engine = Refusing(pack.backbone_path, pack.adapter_files(), settings.engine)
    with Assistant(pack, settings, engine, partial(open_router, settings=settings)) as opened:
        with pytest.raises(PackError, match="refused"):
            opened.add_adapter(bundled / "sql.gguf", "more")
        assert (mine / "pack.toml").read_bytes() == before
        assert "more" not in opened.adapters
        with pytest.raises(PackError, match="refused"):
            opened.set_adapter("sql", AdapterChange(scale=0.5))
        assert (mine / "pack.toml").read_bytes() == before


def test_the_bundled_pack_is_not_changed_through_a_running_assistant(assistant, bundled):
    with pytest.raises(InputError, match="the bundled pack is never changed"):
        assistant.add_adapter(bundled / "sql.gguf", "more")


# ---- what a pack says of its backbone ----


def test_a_pack_without_a_router_answers_by_a_mix_given_by_hand(bundled):
    folder = start_pack("fresh", bundled / "backbone.gguf")
    with open_assistant(load_settings(), folder) as assistant:
        assistant.add_adapter(bundled / "dates.gguf", "dates")
        assert answer(assistant, "to ISO: 4 July 1999", mix=Mix.of({"dates": 1.0})) == "1999-07-04"


def test_the_context_of_a_pack_holds_unless_the_user_set_one(mine, monkeypatch):
    told(mine, context=256)
    with open_assistant(load_settings(), mine) as assistant:
        assert assistant.context_size == 256
    monkeypatch.setenv("DLP_LOCAL_ENGINE__CONTEXT", "512")
    with open_assistant(load_settings(), mine) as assistant:
        assert assistant.context_size == 512


def test_the_stop_texts_of_a_pack_end_an_answer_unless_the_user_set_some(mine, monkeypatch):
    told(mine, stop=["-"])
    with open_assistant(load_settings(), mine) as assistant:
        assert answer(assistant, "to ISO: 4 July 1999") == "1999"
    monkeypatch.setenv("DLP_LOCAL_SAMPLING__STOP", '["07"]')
    with open_assistant(load_settings(), mine) as assistant:
        assert answer(assistant, "to ISO: 4 July 1999") == "1999-"


def test_the_sampling_of_a_pack_holds_unless_the_user_set_some(mine, monkeypatch):
    document = tomlkit.parse((mine / "pack.toml").read_text("utf-8"))
    document["sampling"] = {"temperature": 0.7, "min_p": 0.0, "max_tokens": 3}
    (mine / "pack.toml").write_text(tomlkit.dumps(document), "utf-8")
    monkeypatch.setenv("DLP_LOCAL_SAMPLING__TEMPERATURE", "0")
    sampling = settings_for(open_pack(mine), load_settings()).sampling
    assert (sampling.temperature, sampling.min_p, sampling.max_tokens) == (0, 0.0, 3)
    assert sampling.top_k == load_settings().sampling.top_k
    defaults = defaults_for(open_pack(mine), load_settings())
    sources = {name: defaults[name].source for name in ("temperature", "min_p", "top_k")}
    assert sources == {"temperature": "settings", "min_p": "pack", "top_k": "default"}
    with open_assistant(load_settings(), mine) as assistant:
        assert answer(assistant, "to ISO: 4 July 1999", mix=Mix.of({"dates": 1.0})) != "1999-07-04"


@pytest.mark.parametrize(("field", "told"), [({"heat": 1}, "sampling.heat"), ({"stop": ["x"]}, "stop has its place")])
def test_sampling_that_cannot_be_is_told(mine, field, told):
    document = tomlkit.parse((mine / "pack.toml").read_text("utf-8"))
    document["sampling"] = field
    (mine / "pack.toml").write_text(tomlkit.dumps(document), "utf-8")
    with pytest.raises(PackError, match=told):
        open_pack(mine)


TEMPLATE = "{% for m in messages %}<|{{ m.role }}|>to ISO: {{ m.content }}<|end|>{% endfor %}<|assistant|>"


@pytest.mark.parametrize("as_file", [True, False])
def test_the_chat_template_of_a_pack_takes_the_place_of_the_backbones_own(mine, as_file):
    without = settings_for(open_pack(mine), load_settings())
    assert without.engine.chat_template == ""
    if as_file:
        (mine / "template.jinja").write_text(TEMPLATE, "utf-8")
        digest = hashlib.sha256(TEMPLATE.encode()).hexdigest()
        told(mine, chat_template_file={"file": "template.jinja", "sha256": digest})
    else:
        told(mine, chat_template=TEMPLATE)
    with open_assistant(load_settings(), mine) as assistant:
        assert answer(assistant, "4 July 1999", mix=Mix.of({"dates": 1.0})) == "1999-07-04"
    own = load_settings(engine={"chat_template": "<|user|>{{ x }}"})
    assert settings_for(open_pack(mine), own).engine.chat_template == "<|user|>{{ x }}"


def test_a_chat_template_that_is_none_is_told(mine):
    with pytest.raises(PackError, match="chat template cannot be read"):
        open_assistant(load_settings(), told(mine, chat_template="{% for"))
