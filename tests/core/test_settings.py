"""Flags > environment > TOML file > defaults."""

import os
import re
from pathlib import Path

import pytest

import dlp_local
from dlp_local.core.errors import InputError
from dlp_local.core.server_address import server_url
from dlp_local.core.settings import Engine, Settings, load_settings

ROOT = Path(dlp_local.__file__).parent.parent


@pytest.fixture
def config(monkeypatch, tmp_path):
    path = tmp_path / "config.toml"
    monkeypatch.setenv("DLP_LOCAL_CONFIG", str(path))
    return path


def test_defaults_hold_without_any_source():
    settings = load_settings()
    assert settings.routing.top_p == 0.9
    assert settings.routing.normalize == "proportional"
    assert settings.sampling.temperature == 0
    assert settings.sampling.max_tokens is None


def test_each_source_overrides_the_one_below_it_value_by_value(config, monkeypatch):
    config.write_text("[routing]\ntop_p = 0.5\nmax_adapters = 2\n[sampling]\nmax_tokens = 7\n", "utf-8")
    monkeypatch.setenv("DLP_LOCAL_ROUTING__TOP_P", "0.6")
    settings = load_settings(sampling={"temperature": 0.3, "max_tokens": None})
    assert settings.routing.top_p == 0.6
    assert settings.routing.max_adapters == 2
    assert settings.sampling.temperature == 0.3
    assert settings.sampling.max_tokens == 7
    assert load_settings(routing={"top_p": 0.7}).routing.top_p == 0.7


def test_all_wrong_values_are_reported_together_with_where_they_stand(config, monkeypatch):
    config.write_text('[routing]\nnormalize = "max"\n', "utf-8")
    monkeypatch.setenv("DLP_LOCAL_ROUTING__TOP_P", "7")
    with pytest.raises(InputError) as caught:
        load_settings(sampling={"max_tokens": 0})
    assert str(caught.value) == (
        "settings: routing.top_p (DLP_LOCAL_ROUTING__TOP_P): '7' cannot be used (give a number, over 0, up to 1); "
        f"routing.normalize ({config}): 'max' cannot be used (give 'proportional' or 'softmax'); "
        "sampling.max_tokens (--max-tokens): 0 cannot be used (give a whole number, 1 or more)."
    )


def test_a_wrong_value_in_a_variable_of_a_whole_group_is_told_to_stand_there(config, monkeypatch):
    config.write_text("[sampling]\nseed = 1979-05-27\nstop = [true]\n", "utf-8")
    monkeypatch.setenv("DLP_LOCAL_SAMPLING", '{"max_tokens": true}')
    with pytest.raises(InputError) as caught:
        load_settings()
    assert "sampling.max_tokens (DLP_LOCAL_SAMPLING): true cannot be used" in str(caught.value)
    assert f"sampling.seed ({config}): 1979-05-27 cannot be used (give a whole number" in str(caught.value)
    assert f"sampling.stop ({config}): true cannot be used" in str(caught.value)


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/", "//v1", "//v1//", " \n"])
def test_an_address_of_an_engine_is_read_as_that_of_a_server(end):
    assert Engine(url=f"http://box:8080{end}").url == server_url(f"http://box:8080{end}") == "http://box:8080"


def test_a_chat_template_is_jinja_or_the_path_of_a_file_with_it(tmp_path, monkeypatch):
    file = tmp_path / "chat.jinja"
    file.write_text("\ufeff{{ messages }}\n", "utf-8")
    assert load_settings(engine={"chat_template": "{{ 1 }}"}).engine.chat_template == "{{ 1 }}"
    monkeypatch.setenv("DLP_LOCAL_ENGINE__CHAT_TEMPLATE", str(file))
    assert load_settings().engine.chat_template == "{{ messages }}\n"
    file.write_text("no Jinja", "utf-8")
    with pytest.raises(InputError, match=r"engine\.chat_template.*DLP_LOCAL_ENGINE__CHAT_TEMPLATE.*holds no Jinja"):
        load_settings()
    file.unlink()
    with pytest.raises(InputError, match=r"engine\.chat_template.*chat\.jinja: cannot be read"):
        load_settings()


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("SAMPLING__STOP", "x", r"DLP_LOCAL_SAMPLING__STOP: is not JSON .*Give a list of text, as \[\"a\", \"b\"\]\.$"),
        ("UI__KEYS", "{", r"DLP_LOCAL_UI__KEYS: is not JSON .*Give a table of values"),
        ("ROUTING", "x", "DLP_LOCAL_ROUTING: is not JSON"),
        ("SAMPLING", "[1", "DLP_LOCAL_SAMPLING: is not JSON"),
    ],
)
def test_a_variable_that_is_no_json_where_a_list_or_table_is_wanted_is_named(monkeypatch, variable, value, told):
    monkeypatch.setenv(f"DLP_LOCAL_{variable}", value)
    with pytest.raises(InputError, match=told):
        load_settings()


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("ROUTNG__TOP_P", "ROUTING__TOP_P"),
        ("ROUTING_TOP_P", "ROUTING__TOP_P"),
        ("PAK", "PACK"),
        ("ENGIN__CONTEXT", "ENGINE__CONTEXT"),
        ("CONFIGG", "CONFIG"),
        ("PACK__FILE", "PACK"),
    ],
)
def test_a_variable_that_nothing_reads_is_named_with_those_that_are_near(monkeypatch, name, near):
    monkeypatch.setenv(f"DLP_LOCAL_{name}", "0.8")
    with pytest.raises(InputError, match=rf"^settings: DLP_LOCAL_{name}: .*Did you mean .*'DLP_LOCAL_{near}'.*\?$"):
        load_settings()


def test_a_variable_that_nothing_reads_is_told_with_the_values_that_cannot_be_used(monkeypatch):
    monkeypatch.setenv("DLP_LOCAL_QQQ", "1")
    monkeypatch.setenv("DLP_LOCAL_ROUTING__TOP_P", "7")
    told = r"^settings: routing\.top_p .* up to 1\); DLP_LOCAL_QQQ: there is nothing of that name\.$"
    with pytest.raises(InputError, match=told):
        load_settings()


NAMED = re.compile(r"(?<!\w)DLP_LOCAL_[A-Z]+(?:_+[A-Z]+)*\b(?!_|\*)")
FILES = [
    path
    for folder in ("dlp_local", "tui", "tools", "docs", "tests/support", ".github")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".md", ".yml")
]


@pytest.mark.parametrize("name", sorted({name for path in FILES for name in NAMED.findall(path.read_text("utf-8"))}))
def test_each_variable_that_the_project_names_is_one_that_something_reads(monkeypatch, name):
    monkeypatch.setenv(name, os.environ.get(name, "1"))
    told = ""
    try:
        load_settings()
    except InputError as error:  # a value that cannot be used
        told = str(error)
    assert f"{name}: there is nothing" not in told


def test_variables_of_a_table_and_in_small_letters_are_read(monkeypatch):
    monkeypatch.setenv("dlp_local_ui__keys", '{"new": "f9"}')
    monkeypatch.setenv("DLP_LOCAL_UI__KEYS__QUIT", "f10")
    assert load_settings().ui.keys["quit"] == "f10"


def test_a_file_that_the_environment_names_is_refused_where_it_is_not_there(config):
    with pytest.raises(InputError, match=r"DLP_LOCAL_CONFIG names .*config\.toml, which is not there\."):
        load_settings()


def test_no_file_is_needed_where_none_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("DLP_LOCAL_CONFIG", "")
    monkeypatch.setattr("dlp_local.core.paths.platformdirs.user_config_dir", lambda *_, **__: str(tmp_path / "none"))
    assert load_settings().routing.top_p == 0.9


@pytest.mark.parametrize("line", ["[sampling]\nmax_tokens = true", "[engine]\nthreads = false"])
def test_true_is_no_number(config, line):
    config.write_text(line, "utf-8")
    with pytest.raises(InputError, match=r"(true|false) cannot be used \(give a whole number, "):
        load_settings()


def test_an_unknown_setting_in_the_file_is_named(config):
    config.write_text("[routing]\ntop_q = 0.5\n", "utf-8")
    with pytest.raises(InputError, match=r"routing\.top_q .*there is nothing of that name\. Did you mean 'top_p'\?$"):
        load_settings()


def test_a_group_that_is_none_is_named_also_where_no_flag_of_it_is_given(config):
    config.write_text("routing = 3\n", "utf-8")
    with pytest.raises(InputError, match=r"routing .*: 3 cannot be used"):
        load_settings(routing={"top_p": None})


def test_a_broken_file_is_named(config):
    config.write_text("[routing\n", "utf-8")
    with pytest.raises(InputError, match=r"config\.toml cannot be read"):
        load_settings()


def test_settings_are_frozen():
    with pytest.raises(Exception, match="frozen"):
        Settings().system = "x"
