"""A backbone that could answer nothing is told before a pack is made of it; what the engine gets around is no fault."""

import pytest

from dlp_local.core.errors import PackError
from dlp_local.engine import template_limits
from dlp_local.engine.local.inspection import inspect_backbone
from tests.support.scripted_models import ROLES, write_scripted_model

SCRIPT = ("[assistant]", "Hi", "there")
ANSWERS = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]"
SKIPS_SYSTEM = "{% for m in messages if m.role != 'system' %}[{{ m.role }}]{{ m.content }}{% endfor %}"
REFUSES_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + ANSWERS


def model(folder, template):
    return write_scripted_model(folder / "model.gguf", SCRIPT, template=template)


@pytest.mark.parametrize(
    "template",
    [None, ROLES, REFUSES_SYSTEM, SKIPS_SYSTEM,
     "{% for m in messages %}[{{ m.role }}]{{ m.content[0].text }}{% endfor %}",
     "{% if messages|length > 5 %}{{ raise_exception('no more') }}{% endif %}" + ANSWERS],
)  # fmt: skip
def test_a_template_is_well_whatever_shape_it_wants(tmp_path, template):
    assert inspect_backbone(model(tmp_path, template), "") == ""


@pytest.mark.parametrize(
    ("template", "reason"),
    [("{% for m in messages %}", "Unexpected end"), ("{{ messages|nosuch }}", "No filter named 'nosuch'"),
     ("{{ raise_exception('not now') }}", "not now"), ("{{ 'nothing of it' }}", "leaves out a message"),
     ("{{ messages[0].content.a.b }}", "no attribute 'a'"), ("{{ 1 // 0 }}", "by zero"),
     ("{% set r = range(99999) %}{% for a in r %}{% for b in r %}{% endfor %}{% endfor %}", "come to an end"),
     ("{% include 'other.jinja' %}", r"takes in the file 'other\.jinja', and a chat template is one file alone"),
     ("{% extends 'other.jinja' %}", "takes in the file"), ("{% from 'other.jinja' import x %}", "takes in the file"),
     ("{% for i in range(10**9) %}x{% endfor %}", "counts to more than 100000"),
     ("{% for i in range(10**30) %}x{% endfor %}", "counts to more than 100000"),
     ("{{ messages.__class__.x }}", "asks for '__class__', which no template gets")],
)  # fmt: skip
def test_a_broken_template_is_refused_with_the_reason_and_what_helps(tmp_path, monkeypatch, template, reason):
    monkeypatch.setattr(template_limits, "SECONDS", 0.1)
    with pytest.raises(PackError, match=rf"chat template.*{reason}.*--chat-template FILE"):
        inspect_backbone(model(tmp_path, template), "")


def test_a_file_that_may_be_missing_is_left_out(tmp_path):
    template = "{% include 'other.jinja' ignore missing %}{% for i in range(3) %}{% endfor %}" + ANSWERS
    assert inspect_backbone(model(tmp_path, template), "") == ""


def test_a_template_for_single_messages_is_told_and_taken(tmp_path):
    single = "{% if messages|length > 1 %}{{ raise_exception('one, please') }}{% endif %}" + ANSWERS
    assert "no conversations (one, please)" in inspect_backbone(model(tmp_path, single), "")


def test_another_template_takes_the_place_of_a_broken_one(tmp_path):
    assert inspect_backbone(model(tmp_path, "{% if %}"), ANSWERS) == ""


def test_an_architecture_that_llama_cpp_does_not_know_is_refused(tmp_path):
    path = model(tmp_path, None)
    path.write_bytes(path.read_bytes().replace(b"llama", b"lhama"))
    with pytest.raises(PackError, match=r"model\.gguf: is of an architecture .*'lhama'.*Use another backbone"):
        inspect_backbone(path, "")
