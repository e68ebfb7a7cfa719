"""Policies: which mix of adapters a row is answered under. Each is a pure function of the row and its probabilities."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from dlp_local.core.errors import InputError
from dlp_local.core.settings import Routing
from dlp_local.core.text import did_you_mean, switched_off
from dlp_local.core.values import BASE, WEIGHT_STEPS, Mix
from dlp_local.evaluation.row import EvalRow
from dlp_local.routing.selection import head, select

TOP_1 = "top1"
"""What every other policy is compared with."""

ORACLE = "oracle"
DEFAULT = (BASE, ORACLE, TOP_1, "top-p", "parts")
"""What is compared where nobody says; the oracle only where every row has an adapter."""

KINDS: Mapping[str, str] = {
    BASE: "the backbone alone",
    "single:NAME": "one adapter for all rows",
    ORACLE: "the row's own adapter",
    "per-query-oracle": "of all adapters the one whose answer scores best",
    TOP_1: "the most probable adapter",
    "top-p": "as the pack's settings mix; top-p:0.7 and top-p:0.9:softmax at will",
    "uniform": "what top-p keeps, all of the same weight",
    "held-out": "as the settings mix where the row's own adapter is not there",
    "all": "every adapter, all of the same weight, whatever the message",
    "merged": "the mean of all adapters, as one adapter; the same numbers as all",
    "few-shot:K": "the backbone alone after K rows of --shots as earlier turns",
    "parts": "as the product answers: a message of several tasks in parts",
}
"""Every kind of policy as it is written, and what it does."""

NORMALIZATIONS = ("proportional", "softmax")

Probabilities = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Policy:
    """A named way of choosing mixes.

    `mixes` gives those of a row of these probabilities; where there are several, the one whose answer scores best
    counts. `shots` rows stand before the message; `in_parts`: a message that is routed in parts is answered in them.
    `needs_adapter`: rows must say whose they are. `is_routed`: the mix comes of the row's probabilities.
    """

    name: str
    mixes: Callable[[EvalRow, Probabilities], Sequence[Mix]]
    shots: int = 0
    in_parts: bool = False
    needs_adapter: bool = False
    is_routed: bool = False


def parse_policies(
    text: str, adapters: Sequence[str], routing: Routing, disabled: Collection[str] = ()
) -> tuple[Policy, ...]:
    """The policies of `base,top1,top-p:0.7`, each once, for a pack with these adapters and these settings.

    `disabled` are others of the pack's adapters. Raises `InputError` for a policy that there is not, with those
    that there are.
    """
    names = dict.fromkeys(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise InputError(f"--policies: names none. There are {', '.join(KINDS)}.")
    for name in names:
        kind, _, adapter = name.partition(":")
        if kind == "single" and adapter in disabled:
            raise InputError(f"policy '{name}': {switched_off(adapter)}")
    return tuple(parse_policy(name, adapters, routing) for name in names)


def parse_policy(name: str, adapters: Sequence[str], routing: Routing) -> Policy:
    """One policy of its name; see `parse_policies`."""
    kind, colon, argument = name.partition(":")
    if colon and not argument and kind in {**_SIMPLE, **_WITH_ARGUMENT}:
        raise InputError(f"policy '{name}': nothing stands behind the colon. There are {', '.join(KINDS)}.")
    if kind in _SIMPLE and not argument:
        return _SIMPLE[kind](name, tuple(sorted(adapters)), routing)
    if kind in _WITH_ARGUMENT:
        return _WITH_ARGUMENT[kind](name, argument, tuple(sorted(adapters)), routing)
    if kind in _SIMPLE:
        raise InputError(f"policy '{name}': {kind} takes nothing behind a colon. Leave out ':{argument}'.")
    names = [written.partition(":")[0] for written in KINDS]
    raise InputError(f"there is no policy '{name}'.{did_you_mean(kind, names)} There are {', '.join(KINDS)}.")


def equal_mix(names: Collection[str], of: int) -> Mix:
    """A mix in which each adapter has one part `of` so many."""
    return Mix.of(dict.fromkeys(names, 1 / of))


def _constant(name: str, mix: Mix) -> Policy:
    return Policy(name, lambda row, probabilities: (mix,))


def _single(name: str, adapter: str, adapters: Sequence[str], routing: Routing) -> Policy:
    if adapter not in adapters:
        near = did_you_mean(adapter, adapters)
        raise InputError(f"policy '{name}': there is no adapter '{adapter}'.{near} There are {', '.join(adapters)}.")
    return _constant(name, Mix.of({adapter: 1.0}))


def _oracle(name: str, adapters: Sequence[str], routing: Routing) -> Policy:
    return Policy(
        name, lambda row, probabilities: (Mix.of({row.adapter: 1.0}) if row.adapter else Mix(),), needs_adapter=True
    )


def _per_query_oracle(name: str, adapters: Sequence[str], routing: Routing) -> Policy:
    singles = tuple(Mix.of({adapter: 1.0}) for adapter in adapters)
    if not singles:
        raise InputError(f"policy '{name}': the pack has no adapter that is switched on. Leave it out.")
    return Policy(name, lambda row, probabilities: singles)


def _selected(name: str, options: Routing, *, in_parts: bool = False) -> Policy:
    return Policy(name, lambda row, probabilities: (select(probabilities, options),), in_parts=in_parts, is_routed=True)


def _top_1(name: str, adapters: Sequence[str], routing: Routing) -> Policy:
    return _selected(name, routing.model_copy(update={"max_adapters": 1}))


def _top_p(name: str, argument: str, adapters: Sequence[str], routing: Routing) -> Policy:
    update: dict[str, object] = {}
    for part in argument.split(":") if argument else ():
        key = "normalize" if part in NORMALIZATIONS else "top_p"
        try:
            value: object = part if key == "normalize" else float(part)
        except ValueError:
            value = 0.0
        if key in update or (isinstance(value, float) and not 0 < value <= 1):
            raise InputError(
                f"policy '{name}': '{part}' cannot stand there. Write top-p:0.7 or top-p:0.7:softmax, with a sum over "
                f"0 and up to 1, and one of {', '.join(NORMALIZATIONS)}."
            )
        update[key] = value
    return _selected(name, routing.model_copy(update=update))


def _uniform(name: str, adapters: Sequence[str], routing: Routing) -> Policy:
    def mixes(row: EvalRow, probabilities: Probabilities) -> Sequence[Mix]:
        kept = head(probabilities, routing.top_p, routing.max_adapters)
        return (equal_mix(kept, len(kept)),)

    return Policy(name, mixes, is_routed=True)


def _held_out(name: str, adapters: Sequence[str], routing: Routing) -> Policy:
    def mixes(row: EvalRow, probabilities: Probabilities) -> Sequence[Mix]:
        others = {label: p for label, p in probabilities.items() if label != row.adapter}
        total = sum(others.values())
        return (select({label: p / total for label, p in others.items()}, routing) if total else Mix(),)

    return Policy(name, mixes, needs_adapter=True, is_routed=True)


def _all(name: str, adapters: Sequence[str], routing: Routing) -> Policy:
    if not 0 < len(adapters) <= WEIGHT_STEPS:
        raise InputError(
            f"policy '{name}': the pack has {len(adapters)} adapters that are switched on, and this mixes 1 to "
            f"{WEIGHT_STEPS} of them. Leave it out."
        )
    return _constant(name, equal_mix(adapters, len(adapters)))


def _few_shot(name: str, argument: str, adapters: Sequence[str], routing: Routing) -> Policy:
    if not argument.isdecimal() or not 1 <= int(argument) <= 1000:
        raise InputError(f"policy '{name}': say how many rows stand before each message, few-shot:5 say.")
    return Policy(name, lambda row, probabilities: (Mix(),), shots=int(argument))


_SIMPLE: Mapping[str, Callable[[str, Sequence[str], Routing], Policy]] = {
    BASE: lambda name, adapters, routing: _constant(name, Mix()),
    ORACLE: _oracle,
    "per-query-oracle": _per_query_oracle,
    TOP_1: _top_1,
    "uniform": _uniform,
    "held-out": _held_out,
    "all": _all,
    "merged": _all,
    "parts": lambda name, adapters, routing: _selected(name, routing, in_parts=True),
}
_WITH_ARGUMENT: Mapping[str, Callable[[str, str, Sequence[str], Routing], Policy]] = {
    "single": _single,
    "top-p": _top_p,
    "few-shot": _few_shot,
}
