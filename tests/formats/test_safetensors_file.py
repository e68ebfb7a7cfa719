"""safetensors files, read without torch, and what is said of unsound ones."""

import contextlib
import json
import os
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlp_local.core.errors import PackError
from dlp_local.formats.safetensors_file import MAX_HEADER, open_safetensors
from tests.support.peft_folder import pair, safetensors, with_header

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


def read_all(path):
    with open_safetensors(path) as source:
        return {name: source.read(name) for name in source.shapes}


NAMES = st.text("abc._0", min_size=1, max_size=30).filter(lambda name: name != "__metadata__")
ARRAYS = st.tuples(
    st.lists(st.integers(0, 5), max_size=4), st.sampled_from([np.float32, np.float16]), st.integers(0, 2**32 - 1)
)


@settings(deadline=None)
@given(tensors=st.dictionaries(NAMES, ARRAYS, max_size=6))
def test_what_was_written_is_read(tmp_path_factory, tensors):
    arrays = {
        name: np.random.default_rng(seed).normal(size=shape).astype(kind)
        for name, (shape, kind, seed) in tensors.items()
    }
    path = tmp_path_factory.mktemp("s") / "x.safetensors"
    path.write_bytes(safetensors(arrays))
    read = read_all(path)
    assert read.keys() == arrays.keys()
    assert all(np.array_equal(read[name], array) and read[name].dtype == np.float32 for name, array in arrays.items())


def test_bfloat16_is_the_upper_half_of_float32(tmp_path):
    values = np.array([1.0, -2.5, 3.0e38, 1e-40], np.float32)
    bits = (values.view("<u4") >> 16).astype("<u2")
    header = {"x": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]}}
    (tmp_path / "x").write_bytes(with_header(json.dumps(header).encode(), bits.tobytes()))
    expected = (bits.astype("<u4") << 16).view("<f4").reshape(2, 2)
    assert np.array_equal(read_all(tmp_path / "x")["x"], expected)
    assert expected == pytest.approx(values.reshape(2, 2), rel=1e-2)


WHOLE = safetensors(pair() | pair("self_attn.v_proj"))


@settings(deadline=None, max_examples=200)
@given(size=st.integers(0, len(WHOLE) - 1))
def test_every_truncation_is_refused(tmp_path_factory, size):
    path = tmp_path_factory.mktemp("cut") / "x.safetensors"
    path.write_bytes(WHOLE[:size])
    with pytest.raises(PackError, match=r"x\.safetensors: is (no sound safetensors file|empty)"):
        read_all(path)


@settings(deadline=None, max_examples=200)
@given(header=st.dictionaries(st.text(max_size=10), JSON, max_size=4), data=st.binary(max_size=64))
def test_any_header_is_read_or_refused_and_nothing_else(tmp_path_factory, header, data):
    path = tmp_path_factory.mktemp("header") / "x.safetensors"
    path.write_bytes(with_header(json.dumps(header).encode("utf-8", "surrogatepass"), data))
    with contextlib.suppress(PackError):
        read_all(path)


def entry(start, end, shape=(1,), kind="F32"):
    return {"dtype": kind, "shape": list(shape), "data_offsets": [start, end]}


HEADERS = {
    "tensors that overlap": (
        {"a": entry(0, 4), "b": entry(2, 6), "c": entry(4, 8)},
        8,
        "invalid offset for tensor `b`",
    ),
    "a gap": ({"a": entry(0, 4), "b": entry(8, 12)}, 12, "invalid offset for tensor `b`"),
    "data that no tensor has": ({"a": entry(0, 4)}, 8, "file not fully covered"),
    "bytes before the data": ({"a": entry(-4, 0)}, 4, r"the place of a is \[-4, 0\], and it has to be whole numbers"),
    "a shape of other size": ({"a": entry(0, 4, (2,))}, 4, "invalid shape, data type, or offset"),
    "a shape beyond all numbers": ({"a": entry(0, 4, (2**40, 2**40))}, 4, "overflow computing buffer size"),
    "a negative shape": ({"a": entry(0, 4, (-1, -1))}, 4, r"the shape of a is \[-1, -1\], and it has to be"),
    "a shape of booleans": ({"a": entry(0, 4, (True,))}, 4, r"the shape of a is \[True\], and"),
    "many dimensions": ({"a": entry(0, 4, [1] * 99)}, 4, "a has 99 dimensions"),
    "more than is known": ({"a": entry(0, 4) | {"x": 1}}, 4, "does not describe a"),
    "a name with a zero byte": ({"a\0b": entry(0, 4)}, 4, "holds the name"),
    "a long name": ({"a" * 257: entry(0, 4)}, 4, "holds the name"),
    "a list": ([], 0, "its header is no JSON object"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_header_that_lies_is_refused_with_what_is_wrong(tmp_path, case):
    header, size, reason = HEADERS[case]
    (tmp_path / "x").write_bytes(with_header(json.dumps(header).encode(), bytes(size)))
    with pytest.raises(PackError, match=rf"x: is no sound safetensors file: .*{reason}"):
        read_all(tmp_path / "x")


def test_a_name_that_stands_there_twice_is_refused(tmp_path):
    twice = f'{{"a": {json.dumps(entry(0, 4))}, "a": {json.dumps(entry(0, 4))}}}'
    (tmp_path / "x").write_bytes(with_header(twice.encode(), bytes(4)))
    with pytest.raises(PackError, match="names something twice"):
        read_all(tmp_path / "x")


def test_a_header_that_claims_to_be_endless_is_refused_without_reading_it(tmp_path):
    path = tmp_path / "x"
    for length in (2**63, MAX_HEADER + 1):
        with path.open("wb") as file:
            file.write(struct.pack("<Q", length))
            os.truncate(file.fileno(), 1 << 34)
        with pytest.raises(PackError, match=f"promises a header of {length} bytes"):
            read_all(path)


def test_a_deeply_nested_header_is_refused(tmp_path):
    (tmp_path / "x").write_bytes(with_header(b"[" * 1_000_000))
    with pytest.raises(PackError, match="is no sound safetensors file"):
        read_all(tmp_path / "x")
