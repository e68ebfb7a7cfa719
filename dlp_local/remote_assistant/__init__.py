"""The assistant of another machine, or another process: what `dlp-local serve` answers there."""

from dlp_local.remote_assistant.assistant import NO_CORRECTIONS, RemoteAssistant, open_remote_assistant

__all__ = ["NO_CORRECTIONS", "RemoteAssistant", "open_remote_assistant"]
