"""Routing: a message → the mix of adapters that answers it."""

from dlp_local.routing.encoder import Encoder
from dlp_local.routing.message_router import MessageRouter
from dlp_local.routing.router import Router
from dlp_local.routing.selection import select

__all__ = ["Encoder", "MessageRouter", "Router", "select"]
