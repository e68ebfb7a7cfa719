"""What settings are once others are put into them, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

IDENTITIES = ("name", "model_id")
"""The keys by which an item of a list is the same as another one."""


def merged(before: Any, change: Any) -> Any:
    """`before` with `change` in it; nothing is left out but values that the change has others for.

    Tables are merged key by key, and items of lists that are the same one (`same_item`); a new item comes last. Raises
    `ValueError` where there is a table for a list, or something like that.
    """
    if isinstance(before, Mapping) and isinstance(change, Mapping):
        return {**before, **{key: merged(before.get(key), value) for key, value in change.items()}}
    if isinstance(before, Sequence) and not isinstance(before, str) and isinstance(change, list):
        items = list(before)
        for item in change:
            index = same_item(items, item)
            if index is None:
                items.append(item)
            else:
                items[index] = merged(items[index], item)
        return items
    if before and (isinstance(before, Mapping | list) or isinstance(change, Mapping | list)):
        raise ValueError("it holds something else where these settings go")
    return change


def with_defaults(change: Mapping[str, Any], defaults: Mapping[str, Any], before: Any) -> Mapping[str, Any]:
    """A change and those of the defaults whose keys are in none of the tables, the defaults first."""
    have = before if isinstance(before, Mapping) else {}
    return {key: value for key, value in defaults.items() if key not in have} | dict(change)


def same_item(items: Sequence[Any], item: Any) -> int | None:
    """Where a list has an item already: an equal one, or a table that is called the same; None for nowhere."""
    for index, other in enumerate(items):
        if other == item:
            return index
        if isinstance(other, Mapping) and isinstance(item, Mapping):
            for key in IDENTITIES:
                if key in item:
                    if other.get(key) == item[key]:
                        return index
                    break
    return None
