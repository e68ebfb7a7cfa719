"""Where the router cuts messages into parts: of one task not at all, of two tasks where these meet."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dlp_local.core.settings import Routing
from dlp_local.core.values import BASE, Route, most_probable
from tools.experiments.answered import valid_rows
from tools.experiments.composites import JOINTS, composites, join
from tools.experiments.markdown import percent, section, table
from tools.experiments.part import Figures, Part, Setup
from tools.experiments.router import message_router

SINGLE_ROWS = 5
"""Times `per_class`: messages of one task are cut so seldom that it takes many to see it."""

RIGHT, OTHERWISE, WHOLE = "right", "otherwise", "whole"


@dataclass(frozen=True, slots=True)
class Joined:
    """A message of two requests; `owners` are the adapters, or `base`, that they are for."""

    text: str
    joint: str
    requests: tuple[str, str]
    owners: tuple[str, str]


def two_tasks(setup: Setup) -> list[Joined]:
    """Messages of two valid rows of different adapters, `per_class` of each joint."""
    rows, adapters = valid_rows(setup.recipe, setup.data, SINGLE_ROWS * setup.per_class), setup.recipe.kinds
    made = composites(setup.recipe, rows, len(JOINTS) * setup.per_class, 2)
    return [
        Joined(one.text, one.joint, (first[0].message, second[0].message), (adapters[kind], adapters[other]))
        for one in made
        for (kind, first), (other, second) in [one.tasks]
    ]


def task_and_base(setup: Setup) -> list[Joined]:
    """Messages of a valid row and one of the recipe's everyday requests, in either order; as many as of two tasks."""
    rng, made = random.Random(0), list[Joined]()
    rows = valid_rows(setup.recipe, setup.data, SINGLE_ROWS * setup.per_class)
    for number in range(len(JOINTS) * setup.per_class if setup.recipe.everyday else 0):
        kind, joint = rng.choice(sorted(rows)), JOINTS[number % len(JOINTS)]
        of_task = rng.choice(rows[kind])[0].message, setup.recipe.kinds[kind]
        (first, owner), (second, other) = rng.sample([of_task, (rng.choice(setup.recipe.everyday), BASE)], 2)
        made.append(Joined(join(first, second, joint), joint, (first, second), (owner, other)))
    return made


def outcome(message: Joined, route: Route) -> str:
    """Whether a message is cut where its requests meet, with each part to its own, or otherwise, or stays whole."""
    if not route.parts:
        return WHOLE
    owners = tuple(most_probable(part.probabilities) for part in route.parts)
    is_right = owners == message.owners and route.parts[1].text.strip(" .") == message.requests[1].strip(" .")
    return RIGHT if is_right else OTHERWISE


def single(setup: Setup) -> Figures:
    """Of each kind's valid rows, those that are cut."""
    router, options = message_router(setup), Routing()
    found: Figures = {}
    for kind, of_kind in valid_rows(setup.recipe, setup.data, SINGLE_ROWS * setup.per_class).items():
        cut = sum(bool(router.route(same[0].message, options).parts) for same in of_kind)
        found[kind] = {"rows": len(of_kind), "cut": cut}
    return found


def joined(setup: Setup) -> Figures:
    """What becomes of messages of two requests, by joint, and what looking for parts costs."""
    router, options = message_router(setup), Routing()
    whole = options.model_copy(update={"split": False})
    found: Figures = {}
    for name, messages in (("two tasks", two_tasks(setup)), ("a task and base", task_and_base(setup))):
        counts: dict[str, Counter[str]] = {joint: Counter() for joint in JOINTS}
        more, alone = [], []
        for message in messages:
            route = router.route(message.text, options)
            alone.append(router.route(message.text, whole).total_ms)
            more.append(route.total_ms - alone[-1])
            counts[message.joint][outcome(message, route)] += 1
        found[name] = {
            "outcomes": {joint: {each: of[each] for each in (RIGHT, OTHERWISE, WHOLE)} for joint, of in counts.items()},
            "more_milliseconds": {
                "median": round(float(np.median(more)), 2),
                "of_95": round(float(np.quantile(more, 0.95)), 2),
                "whole": round(float(np.median(alone)), 2),
            }
            if more
            else None,
        }
    return found


def _outcome_row(name: str, joint: str, counts: Mapping[str, int]) -> Sequence[str]:
    messages = sum(counts.values())
    shares = (percent(counts[each] / messages if messages else None) for each in (RIGHT, OTHERWISE, WHOLE))
    return [name, joint, str(messages), *shares]


def _joined_rows(found: Figures) -> Iterable[Sequence[str]]:
    for name, of in found.items():
        yield from (_outcome_row(name, joint, counts) for joint, counts in of["outcomes"].items())
        yield _outcome_row(name, "all", sum(map(Counter, of["outcomes"].values()), Counter()))


def page(found: Mapping[str, Figures]) -> str:
    """The section."""
    blocks = [
        "## Where messages are cut",
        "The router alone, nothing is answered. A message of several tasks is answered in parts, and one of a single "
        "task must stay whole. How parts are answered stands under *Several tasks in one message*.",
    ]
    if of_single := found.get("single"):
        shares = ([kind, str(of["rows"]), f"{100 * of['cut'] / of['rows']:.2f}"] for kind, of in of_single.items())
        blocks += ["### Messages of one task", table(["valid rows of", "rows", "cut, %"], shares)]
    if of_joined := found.get("joined"):
        times = {name: of["more_milliseconds"] for name, of in of_joined.items() if of["more_milliseconds"]}
        told = (
            f"{name}: {ms['median']:.1f} ms beside {ms['whole']:.1f}, {ms['of_95']:.1f} of 95 in 100"
            for name, ms in times.items()
        )
        blocks += [
            "### Messages of two requests",
            "Two valid rows of different adapters, or one and an everyday request, which is for base, joined by a line "
            "break, a full stop or `and`. `right`: cut where they were joined, each part to its own; `otherwise`: cut "
            "elsewhere or sent elsewhere.",
            table(["message", "joined by", "messages", f"{RIGHT}, %", f"{OTHERWISE}, %", f"{WHOLE}, %"],
                  _joined_rows(of_joined)),
            f"How much longer such a route takes, beside that of the whole alone in the same run, median: "
            f"{'; '.join(told)}.",
        ]  # fmt: skip
    blocks.append(
        "**The paper beside ours.** It cuts no message into parts: its adapters are chosen sentence by sentence. There "
        "is nothing to put beside these columns."
    )
    return section(*blocks)


PART = Part("cuts", ("per_class",), {"single": single, "joined": joined}, page)
