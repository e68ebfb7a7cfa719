"""`/v1/route`: the request."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from dlp_local.core.text import check_message, unknown_name
from dlp_local.core.values import Mix, Route
from dlp_local.server.bodies import HARMLESS, RequestBody, Unused
from dlp_local.server.errors import ApiError, blamed_on

UNUSED = Unused(HARMLESS)


ROUNDING = 1e-3
"""By so much may probabilities add up to more than 1: those of a reply are rounded."""


class RouteRequest(RequestBody):
    """A message whose route is asked for."""

    text: str
    previous: dict[str, float] | None = Field(
        None,
        description="the probabilities of the turn before it; adapters that are not in the pack count for nothing",
    )
    veto: list[str] = Field([], description="adapters that may not be chosen")
    split: bool | None = Field(None, description="whether it may be answered in parts")

    def check(self, adapters: tuple[str, ...]) -> None:
        """Raises `ApiError` for what cannot be routed."""
        with blamed_on("text"):
            check_message(self.text)
        for name in self.veto:
            if name not in adapters:
                message = f"veto: {unknown_name('adapter', name[:64], adapters)}"
                raise ApiError(400, message, param="veto", code="invalid_value")
        previous = self.previous or {}
        if any(probability < 0 for probability in previous.values()) or sum(previous.values()) > 1 + ROUNDING:
            raise ApiError(
                400, "previous: these are no probabilities, which are 0 or more and add up to 1 at most.",
                param="previous", code="invalid_value",
            )  # fmt: skip

    def previous_route(self) -> Route | None:
        """The route of the turn before."""
        previous: Mapping[str, float] | None = self.previous
        return Route("", previous, Mix()) if previous else None
