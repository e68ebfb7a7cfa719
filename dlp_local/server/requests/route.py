"""`/v1/route`: the request."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from dlp_local.core.text import check_message, unknown_name
from dlp_local.core.values import Mix, Route
from dlp_local.server.bodies import RequestBody, Unused
from dlp_local.server.errors import ApiError

UNUSED = Unused(harmless=frozenset({"user", "metadata"}))


class RouteRequest(RequestBody):
    """A message whose route is asked for."""

    text: str
    previous: dict[str, float] | None = Field(None, description="the probabilities of the turn before it")
    veto: list[str] = Field([], description="adapters that may not be chosen")
    split: bool | None = Field(None, description="whether it may be answered in parts")

    def check(self, adapters: tuple[str, ...]) -> None:
        """Raises `ApiError` and `InputError` for what cannot be routed."""
        check_message(self.text)
        for name in self.veto:
            if name not in adapters:
                raise ApiError(400, f"veto: {unknown_name('adapter', name[:64], adapters)}", param="veto")

    def previous_route(self) -> Route | None:
        """The route of the turn before."""
        previous: Mapping[str, float] | None = self.previous
        return Route("", previous, Mix()) if previous else None
