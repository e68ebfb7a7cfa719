"""The truth of the window: the open conversation, what waits to be done, and the one thread that asks the assistant.

No widget holds any of this: the window calls `Session`, and draws the values that come back through `post`.
"""

from tui.session.session import ChangeOptions, Session
from tui.session.worker import OpenAssistant

__all__ = ["ChangeOptions", "OpenAssistant", "Session"]
