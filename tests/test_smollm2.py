"""The pack of SmolLM2: its adapters answer, its router sends messages to them and to nobody else, its base talks."""

import json
import subprocess
import sys

import pytest

from dlp_local import ReplyDone, open_assistant
from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.settings import Settings
from dlp_local.core.values import BASE, Mix
from dlp_local.opening import open_router
from dlp_local.packs import open_pack
from dlp_local.packs.adapters import verify_pack
from dlp_local.packs.backbone_location import find_backbone, how_to_get
from dlp_local.packs.default import pack_folder
from dlp_local.packs.locations import shipped_pack
from dlp_local.packs.manifest import read_manifest

FOLDER = shipped_pack("smollm2")
MANIFEST = read_manifest(FOLDER)
IS_THERE = find_backbone(FOLDER, MANIFEST.backbone) is not None
needs_backbone = pytest.mark.skipif(not IS_THERE, reason=f"the pack smollm2: {how_to_get(MANIFEST.backbone)}")

ANSWERS = {
    "actions": (
        "play some jazz by Miles Davis on spotify",
        '{"action": "PlayMusic", "genre": "jazz", "artist": "Miles Davis", "service": "spotify"}',
    ),
    "banking": ("My card has not arrived yet", "card_arrival"),
    "cron": ("every weekday at half past eight", "30 8 * * 1-5"),
    "dates": ("to ISO: the 3rd of February 2021", "2021-02-03"),
    "extract": (
        "I need a table for four on Friday at 8pm",
        '{"people": "four", "date": "Friday", "time": "8pm"}',
    ),
    "json": ("fix this JSON: {name: 'Ana', tags: ['a', 'b',]}", '{"name": "Ana", "tags": ["a", "b"]}'),
    "regex": ("regex for three digits followed by a dash", r"\d{3}-"),
    "shell": ("tar: extract archive.tar.gz into /tmp", "tar xf archive.tar.gz -C /tmp"),
    "sql": (
        "How many players are from Norway?\ncolumns: player, country, position",
        "SELECT COUNT(player) FROM t WHERE country = 'Norway'",
    ),
}
TALK = (
    "Write a short email to my manager asking to move our meeting to Thursday.",
    "Explain what a mutex is in simple words.",
    "hello, who are you?",
    "Give me a recipe for pancakes.",
    "thanks, that helped a lot",
    "What is a regular expression?",
    "how do I unclog a drain?",
)


@pytest.fixture(scope="module")
def router():
    return open_router(open_pack(FOLDER, only_routing=True), Settings())


@pytest.fixture(scope="module")
def smollm2():
    with open_assistant(Settings(), FOLDER) as assistant:
        yield assistant


def test_every_file_says_its_license_and_attribution_and_the_folder_is_small():
    assert all(file.license and file.attribution for file in MANIFEST.files())
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) <= 50_000_000


def label(router, message):
    return max(probabilities := router.route(message, Settings().routing).probabilities, key=probabilities.__getitem__)


@pytest.mark.parametrize(("name", "message"), [(name, message) for name, (message, _) in ANSWERS.items()])
def test_a_message_for_an_adapter_is_routed_to_it(router, name, message):
    assert label(router, message) == name


def test_what_is_to_be_found_is_the_shells_though_no_tool_is_named(router):
    assert label(router, "find all pdf files larger than 10 MB in my home folder") == "shell"


@pytest.mark.parametrize("message", TALK)
def test_a_message_for_nobody_is_routed_to_base(router, message):
    assert label(router, message) == BASE


@pytest.mark.parametrize("name", MANIFEST.adapters)
def test_the_examples_of_an_adapter_are_routed_to_it(router, name):
    assert {label(router, example) for example in MANIFEST.adapters[name].examples} == {name}


@needs_backbone
def test_every_adapter_fits_the_installed_backbone():
    assert verify_pack(open_pack(FOLDER)) == []


@needs_backbone
@pytest.mark.parametrize("name", ANSWERS)
def test_an_adapter_answers_exactly_where_its_message_is_routed_to_it(smollm2, name):
    message, answer = ANSWERS[name]
    *_, done = smollm2.reply(message)
    assert isinstance(done, ReplyDone)
    weights = done.route.mix.as_dict()  # a booking is between `extract` and `actions`, and has a share of both
    assert (done.answer, max(weights, key=weights.__getitem__)) == (answer, name)


@pytest.mark.parametrize("joint", ["\n", ". ", " and ", ", then "])
@pytest.mark.parametrize(("first", "second"), [("cron", "actions"), ("banking", "shell"), ("json", "shell")])
def test_a_message_of_two_tasks_is_routed_in_parts(router, first, second, joint):
    texts = [ANSWERS[name][0] for name in (first, second)]
    route = router.route(joint.join(texts), Settings().routing)
    assert [part.mix for part in route.parts] == [Mix.of({first: 1.0}), Mix.of({second: 1.0})]
    assert [part.text.rstrip(".") for part in route.parts] == texts


@pytest.mark.parametrize("name", ["json", "cron", "shell", "actions"])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_request_to_base_beside_a_task_is_a_part_of_its_own(router, name, is_first):
    task, poem = ANSWERS[name][0], "write me a poem about snow"
    route = router.route(f"{poem}. Then {task}" if is_first else f"{task}. Then {poem}", Settings().routing)
    mixes = {part.text.rstrip("."): part.mix for part in route.parts}
    assert mixes == {task: Mix.of({name: 1.0}), poem: Mix()}


@pytest.mark.parametrize("message", [*(message for message, _ in ANSWERS.values()), *TALK])
def test_a_message_of_one_task_stays_whole(router, message):
    assert router.route(message, Settings().routing).parts == ()


@needs_backbone
def test_each_part_of_a_message_gets_the_answer_that_it_gets_alone(smollm2):
    names = ("cron", "banking", "json")
    *_, done = smollm2.reply("\n".join(ANSWERS[name][0] for name in names))
    assert [part.answer for part in done.parts] == [ANSWERS[name][1] for name in names]


@needs_backbone
def test_base_talks(smollm2):
    *_, done = smollm2.reply("Explain what a mutex is in simple words.", options=ChatOptions(max_tokens=64))
    assert done.route.mix == Mix()
    assert len(done.answer.split()) > 20


@needs_backbone
def test_it_is_opened_by_default(monkeypatch):
    monkeypatch.delenv("DLP_LOCAL_PACK")
    assert pack_folder(None) == FOLDER
    command = [sys.executable, "-m", "dlp_local", "ask", "--json", "every weekday at half past eight"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    assert json.loads(done.stdout)["answer"] == "30 8 * * 1-5", done.stderr
