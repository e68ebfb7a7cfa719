"""What a user's settings say stays, whatever is put into them."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from dlp_local.connect import jsonc_text, yaml_text
from dlp_local.connect.merging import merged
from dlp_local.connect.settings_file import FileChange
from dlp_local.core.errors import InputError

NAMES = st.sampled_from(["name", "models", "a", "b b", "ü", "model_id"])
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab: #/,\"'{[-ü", max_size=6)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
TABLES = st.dictionaries(NAMES, VALUES, max_size=4)
COMMENTS = ("", " // own", " /* , { */", "\n  // a line: {\n")


@st.composite
def commented_json(draw, value=TABLES):
    """A value, and one of the many ways to write it with comments and trailing commas."""

    def text(value):
        if not isinstance(value, dict | list):
            return json.dumps(value, ensure_ascii=draw(st.booleans()))
        one_line = draw(st.booleans())
        comments = COMMENTS if not one_line else ("", " /* , { */")
        space = " " if one_line else "\n  "
        pairs = value.items() if isinstance(value, dict) else ((None, item) for item in value)
        parts = [(f"{json.dumps(key)} : " if key is not None else "") + text(item) for key, item in pairs]
        comma = "," if parts and draw(st.booleans()) else ""
        inside = ",".join(f"{space}{part}{draw(st.sampled_from(comments))}{space}" for part in parts) + comma
        first, last = "{}" if isinstance(value, dict) else "[]"
        return f"{first}{draw(st.sampled_from(comments))}{space}{inside}{space}{last}"

    plain = draw(value)
    return plain, text(plain) + draw(st.sampled_from(["", "\n", "\n// end"]))


@settings(max_examples=40, deadline=None)
@given(commented_json(), TABLES)
def test_json_with_comments_is_read_as_it_is_meant_and_keeps_every_comment(case, change):
    value, text = case
    assert jsonc_text.parse(text).value == value
    try:
        wanted = merged(value, change)
    except ValueError:
        return
    after = jsonc_text.changed(text, change)
    assert jsonc_text.parse(after).value == wanted
    for comment in ("// own", "/* , { */", "// a line: {"):
        lost_with_a_value = any(key in value and value[key] != change[key] for key in change)
        assert after.count(comment) >= text.count(comment) or lost_with_a_value


@given(TABLES, TABLES)
def test_what_is_merged_has_all_that_there_was_and_the_change(value, change):
    try:
        after = merged(value, change)
    except ValueError:
        return
    assert {key: after[key] for key in value if key not in change} == {
        k: v for k, v in value.items() if k not in change
    }
    assert all(key in after for key in change)


@settings(max_examples=40, deadline=None)
@given(TABLES, TABLES, st.booleans())
def test_yaml_holds_what_is_merged_and_every_comment_or_is_left_alone(value, change, is_flow):
    yaml, written = YAML(typ="safe", pure=True), io.StringIO()
    yaml.default_flow_style = is_flow
    yaml.dump(value, written)
    text = f"# mine\n{written.getvalue()}# end\n"
    try:
        after = FileChange(Path("settings.yaml"), "yaml", change).text(text)
    except InputError:
        return
    assert yaml_text.parse(after) == merged(yaml_text.parse(text), change)
    assert "# mine" in after
    assert "# end" in after


@pytest.mark.parametrize("text", ['{"a": }', '{"a" 1}', "[1 2]", '{"a": 1} x', "{", '{"a": tru}', "", "{,}", "[" * 300])
def test_what_is_no_json_is_refused_and_not_changed(text):
    with pytest.raises(ValueError, match=r"no JSON|too deeply"):
        jsonc_text.changed(text, {"a": 1})


@pytest.mark.parametrize("text", ["a: [1", "a: 1\na: 2", "a: 1\n---\nb: 2\n", "\tb: 1"])
def test_what_is_no_yaml_is_refused(text):
    with pytest.raises(ValueError, match="no YAML"):
        yaml_text.changed(text, {"a": 1})


def test_a_table_is_not_put_in_the_place_of_something_else():
    for before, change in (({"models": {"mine": 1}}, {"models": []}), ({"a": "text"}, {"a": {"b": 1}})):
        with pytest.raises(ValueError, match="something else"):
            merged(before, change)
