"""Which files of a repository a reference means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlp_local.core.errors import InputError, PackError
from dlp_local.formats.file_signature import PICKLES
from dlp_local.hub.choice import PREFERENCE, Reference, RepoFile, choose, parse_reference


def files(*paths, size=5_000_000):
    return [RepoFile(path, size, sha256=f"{number:064x}") for number, path in enumerate(paths)]


def small(*paths):
    return [RepoFile(path, 200, blob="1" * 40) for path in paths]


def chosen(text, *paths):
    choice = choose(parse_reference(text), [*files(*paths)])
    return [file.path for file in choice.files]


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_]{0,20}", fullmatch=True)
paths = st.lists(st.from_regex(r"[A-Za-z0-9_.-]{0,8}[A-Za-z0-9_]", fullmatch=True), min_size=1, max_size=3).map(
    "/".join
)


@given(names, names, st.none() | names, st.none() | paths)
def test_a_reference_is_read_as_it_is_written(owner, name, revision, file):
    reference = Reference(f"{owner}/{name}", revision, file)
    assert parse_reference(str(reference)) == reference


@given(st.text(max_size=40).map(lambda text: f"hf:{text}") | st.text(max_size=40))
def test_any_text_is_a_reference_or_refused(text):
    try:
        reference = parse_reference(text)
    except InputError:
        return
    assert ".." not in reference.repo
    assert ".." not in (reference.file or "").split("/")


@pytest.mark.parametrize(
    "text",
    ["", "hf:", "hf:owner", "owner/repo", "hf:../x", "hf:a/..", "hf:a/b:../c", "hf:a/b:/etc/passwd\n", "hf:a/b:c\\d",
     "hf:a--b/c", "hf:a/b@", "hf:a/b:", "https://huggingface.co/a/b", "hf:a/b/c", "hf:a/b:C:/x"],
)  # fmt: skip
def test_what_is_no_reference_is_refused(text):
    with pytest.raises(InputError):
        parse_reference(text)


def test_the_only_model_is_taken_whatever_it_is_called():
    assert chosen("hf:a/b", "strange.gguf", "README.md", "mmproj-F16.gguf") == ["strange.gguf"]


@given(st.sets(st.sampled_from(PREFERENCE), min_size=2), st.randoms())
def test_of_many_quantizations_the_preferred_one_is_taken(quantizations, random):
    shuffled = list(quantizations)
    random.shuffle(shuffled)
    best = min(quantizations, key=PREFERENCE.index)
    assert chosen("hf:a/b", *(f"model-{q}.gguf" for q in shuffled)) == [f"model-{best}.gguf"]
    assert chosen("hf:a/b", *(f"Model.{q.lower()}.gguf" for q in shuffled)) == [f"Model.{best.lower()}.gguf"]


@given(st.sampled_from(PREFERENCE))
def test_a_quantization_can_be_named(name):
    every = [f"sub/model-{q}.gguf" for q in PREFERENCE]
    assert chosen(f"hf:a/b:{name.lower()}", *every) == [f"sub/model-{name}.gguf"]


def test_two_models_of_one_quantization_are_listed_to_choose_from():
    with pytest.raises(PackError, match=r"(?s)name one of the models.*  one-Q4_0\.gguf  5\.0 MB\n  two-Q4_0\.gguf"):
        chosen("hf:a/b", "two-Q4_0.gguf", "one-Q4_0.gguf", "one-Q8_0.gguf")
    with pytest.raises(PackError, match="name one of the models"):
        chosen("hf:a/b", "one.gguf", "two.gguf")


def test_a_model_in_several_files_is_passed_over_or_refused():
    parts = [f"model-q8_0-0000{n}-of-00002.gguf" for n in (1, 2)]
    assert chosen("hf:a/b", *parts, "model-q6_k.gguf") == ["model-q6_k.gguf"]
    for text in ("hf:a/b", f"hf:a/b:{parts[0]}"):
        with pytest.raises(PackError, match=r"cut into several files.*gguf-split --merge"):
            chosen(text, *parts)


def test_a_folder_restricts_the_choice():
    every = ["q8/model-Q8_0.gguf", "q4/model-Q4_0.gguf", "lora/adapter_config.json", "lora/adapter_model.safetensors"]
    assert chosen("hf:a/b:q8", *every) == ["q8/model-Q8_0.gguf"]
    choice = choose(parse_reference("hf:a/b:lora/"), [*small(every[2]), *files(every[3])])
    assert choice.kind == "peft"
    assert [file.path for file in choice.files] == every[2:]
    assert choose(parse_reference(f"hf:a/b:{every[3]}"), [*small(every[2]), *files(every[3])]) == choice


def test_an_adapter_of_mlx_is_its_two_files():
    names = ["README.md", "adapter_config.json", "0000100_adapters.safetensors", "adapters.safetensors"]
    choice = choose(parse_reference("hf:a/b"), [*small(*names[:2]), *files(*names[2:])])
    assert choice.kind == "peft"
    assert [file.path for file in choice.files] == ["adapter_config.json", "adapters.safetensors"]


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        (
            ["adapter_config.json", "adapter_model.bin"],
            "has no adapter_model.safetensors, and pickles are never loaded",
        ),
        (["model.safetensors", "config.json"], "not GGUF. Look for a repository with -GGUF"),
        (["pytorch_model.bin"], "pickles alone, which can run any code"),
        (["README.md"], "no GGUF file, no adapter and no pack.toml"),
        ([], "no GGUF file"),
        (["../up.gguf", "C:\\x.gguf", "/abs.gguf"], "no GGUF file"),
    ],
)
def test_a_repository_with_nothing_to_use_says_why(paths, told):
    with pytest.raises(PackError, match=told):
        chosen("hf:a/b", *paths)


@pytest.mark.parametrize("suffix", sorted(PICKLES))
def test_a_named_pickle_is_refused(suffix):
    with pytest.raises(PackError, match="is a pickle"):
        chosen(f"hf:a/b:model{suffix}", f"model{suffix}", "model.gguf")


def test_a_named_safetensors_backbone_is_refused():
    with pytest.raises(PackError, match="a backbone must be GGUF"):
        chosen("hf:a/b:model.safetensors", "model.safetensors")


@given(st.lists(paths | paths.map(lambda path: f"{path}.gguf") | paths.map(lambda path: f"{path}.bin"), max_size=8))
def test_nothing_but_gguf_safetensors_and_small_text_is_ever_chosen(found):
    try:
        choice = choose(Reference("a/b"), files(*found))
    except PackError:
        return
    assert all(
        file.path.endswith((".gguf", ".safetensors", "adapter_config.json", "pack.toml")) for file in choice.files
    )


def test_a_text_file_that_is_huge_is_refused():
    with pytest.raises(PackError, match="too many to be what it is called"):
        choose(Reference("a/b"), files("pack.toml", size=1 << 25))


def test_of_a_training_with_checkpoints_the_newest_adapter_is_named():
    checkpoints = [f"checkpoint-{n}/{name}" for n in (500, 1500) for name in ("adapter_config.json", "optimizer.pt")]
    with pytest.raises(PackError, match=r"The newest is hf:a/b@main:checkpoint-1500: name it"):
        chosen("hf:a/b@main", *checkpoints, "README.md")
    nested = [f"runs/{path}" for path in checkpoints]
    with pytest.raises(PackError, match=r"The newest is hf:a/b:runs/checkpoint-1500: name it"):
        chosen("hf:a/b:runs", *nested)
    with pytest.raises(PackError, match=r"several adapters\. Name one of them: hf:a/b:runs/checkpoint-1500, "):
        chosen("hf:a/b", *nested)


def test_an_adapter_whose_tensors_are_in_several_files_is_told_so():
    shards = [f"adapter_model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]
    with pytest.raises(PackError, match=r"its tensors are in 3 files.*larger max_shard_size"):
        chosen("hf:a/b", "adapter_config.json", *shards)
