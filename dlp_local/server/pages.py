"""A part of a list, as the query of a request asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from starlette.requests import Request

from dlp_local.server.errors import ApiError

Item = TypeVar("Item")


def page(
    request: Request, items: Sequence[Item], identity: Callable[[Item], str], usual: int, most: int
) -> tuple[list[Item], bool]:
    """Up to `limit` items that follow the one named in `after`, and whether there are more; raises `ApiError`."""
    limit = _limit(request.query_params.get("limit"), usual, most)
    start = 0
    if after := request.query_params.get("after"):
        places = [place for place, item in enumerate(items) if identity(item) == after]
        if not places:
            raise ApiError(400, "after: there is nothing of this id.", param="after", code="invalid_value")
        start = places[0] + 1
    return list(items[start : start + limit]), start + limit < len(items)


def _limit(given: str | None, usual: int, most: int) -> int:
    if given is None:
        return usual
    if not (given.isascii() and given.isdecimal() and len(given) < 10 and 1 <= int(given) <= most):
        raise ApiError(400, f"limit: give a whole number, 1 to {most}.", param="limit", code="invalid_value")
    return int(given)
