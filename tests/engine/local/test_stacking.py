"""A stack of adapters is one adapter with the sum of their weights."""

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from hypothesis import given, settings
from hypothesis import strategies as st

from dlp_local.engine.local.stacking import NotStackableError, Stack
from dlp_local.formats.lora import read_lora
from tests.support.lora import read_pairs, write_lora

WEIGHTS = {"blk.0.attn_q.weight": (64, 32), "blk.0.attn_v.weight": (32, 32), "blk.1.ffn_up.weight": (96, 32)}
"""(out, in) of each."""


def random_lora(path, seed, names, ranks, **options):
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, rank in zip(names, ranks, strict=True):
        out, inputs = WEIGHTS[name]
        tensors[f"{name}.lora_a"] = rng.normal(0, 0.3, (rank, inputs))
        tensors[f"{name}.lora_b"] = rng.normal(0, 0.3, (out, rank))
    return write_lora(path, tensors, **options)


def stacked(tmp_path, parts, rank_step=1):
    plan = Stack([(read_lora(path), weight) for path, weight in parts], rank_step)
    tensors = {}
    for chunks in plan.files():
        path = tmp_path / "stack.gguf"
        path.write_bytes(b"".join(chunks))
        more = read_pairs(path)
        assert not tensors.keys() & more.keys()
        tensors |= more
    return tensors, plan.scale


def sum_of(parts, name, alpha):
    total = np.zeros(WEIGHTS[name])
    for path, weight in parts:
        tensors = read_pairs(path)
        if f"{name}.lora_a" in tensors:
            a, b = tensors[f"{name}.lora_a"], tensors[f"{name}.lora_b"]
            total += weight * (alpha / a.shape[0] if alpha else 1.0) * b.astype(float) @ a
    return total


adapters = st.lists(
    st.tuples(
        st.lists(st.sampled_from(sorted(WEIGHTS)), min_size=1, unique=True),
        st.sampled_from([4, 8, 32]),
        st.integers(1, 16),
        st.sampled_from([Kind.F16, Kind.F32, Kind.BF16]),
    ),
    min_size=2,
    max_size=4,
)


@settings(max_examples=40, deadline=None)
@given(adapters=adapters, alpha=st.sampled_from([0.0, 16.0, 5.0]), rank_step=st.sampled_from([1, 32, 64]))
def test_a_stack_computes_the_weighted_sum_whatever_tensors_ranks_and_types_the_adapters_have(
    tmp_path_factory, adapters, alpha, rank_step
):
    folder = tmp_path_factory.mktemp("stack")
    parts = [
        (random_lora(folder / f"{i}.gguf", i, names, [rank] * len(names), alpha=alpha, kind=kind), steps / 32)
        for i, (names, rank, steps, kind) in enumerate(adapters)
    ]
    tensors, scale = stacked(folder, parts, rank_step)
    for name in {name for names, *_ in adapters for name in names}:
        given = scale * tensors[f"{name}.lora_b"].astype(float) @ tensors[f"{name}.lora_a"]
        wanted = sum_of(parts, name, alpha)
        assert given == pytest.approx(wanted, abs=2e-3 * np.abs(wanted).max())


def test_quantized_adapters_stack_as_half_precision(tmp_path):
    name = "blk.0.attn_q.weight"
    parts = [
        (random_lora(tmp_path / f"{i}.gguf", i, [name], [32], kind=kind), 0.5)
        for i, kind in enumerate([Kind.Q8_0, Kind.F16])
    ]
    tensors, scale = stacked(tmp_path, parts)
    wanted = sum_of(parts, name, 32.0)
    given = scale * tensors[f"{name}.lora_b"] @ tensors[f"{name}.lora_a"]
    assert given == pytest.approx(wanted, abs=2e-3 * np.abs(wanted).max())


def test_the_strongest_adapters_numbers_stay_as_they_are(tmp_path):
    name = "blk.0.attn_q.weight"
    parts = [(random_lora(tmp_path / f"{i}.gguf", i, [name], [8]), weight) for i, weight in enumerate([0.71875, 0.25])]
    tensors, scale = stacked(tmp_path, parts)
    assert scale == pytest.approx(0.71875 * 32 / 8)
    own = read_pairs(parts[0][0])[f"{name}.lora_b"]
    assert np.array_equal(tensors[f"{name}.lora_b"][:, :8], own)


def test_the_embeddings_transposed_a_is_stacked_along_its_rank(tmp_path):
    rng = np.random.default_rng(0)
    parts = []
    for i, rank in enumerate([8, 16]):
        tensors = {
            "token_embd.weight.lora_a": rng.normal(size=(50, rank)),
            "token_embd.weight.lora_b": rng.normal(size=(32, rank)),
        }
        parts.append((write_lora(tmp_path / f"{i}.gguf", tensors, alpha=0.0), 0.5))
    tensors, scale = stacked(tmp_path, parts, rank_step=32)
    assert tensors["token_embd.weight.lora_a"].shape == (50, 32)
    given = scale * tensors["token_embd.weight.lora_a"] @ tensors["token_embd.weight.lora_b"].T
    each = [read_pairs(path) for path, _ in parts]
    wanted = sum(0.5 * t["token_embd.weight.lora_a"] @ t["token_embd.weight.lora_b"].T for t in each)
    assert given == pytest.approx(wanted, abs=1e-2)


def test_types_that_are_not_read_here_do_not_stack(tmp_path):
    name = "blk.0.attn_q.weight"
    parts = [(random_lora(tmp_path / f"{i}.gguf", i, [name], [32], kind=Kind.Q4_0), 0.5) for i in range(2)]
    with pytest.raises(NotStackableError):
        Stack([(read_lora(path), weight) for path, weight in parts])


@pytest.mark.parametrize(("ranks", "filled"), [((16, 16), 32), ((16, 16, 16), 64), ((32, 32), 64), ((64, 32), 128)])
def test_a_rank_near_to_a_multiple_of_the_step_is_filled_up_to_it_with_zeros(tmp_path, ranks, filled):
    name = "blk.0.attn_q.weight"
    parts = [(random_lora(tmp_path / f"{i}.gguf", i, [name], [rank]), 0.25) for i, rank in enumerate(ranks)]
    tensors, _ = stacked(tmp_path, parts, rank_step=64)
    a, b = tensors[f"{name}.lora_a"], tensors[f"{name}.lora_b"]
    assert (a.shape[0], b.shape[1]) == (filled, filled)
    assert not a[sum(ranks) :].any()
    assert not b[:, sum(ranks) :].any()
