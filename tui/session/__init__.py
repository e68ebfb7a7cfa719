"""The truth of the window: the open conversation, what waits to be done, and the one thread that asks the assistant.

No widget holds any of this: the window calls `Session`, and draws the values that come back through `post`.
"""

from tui.session.assistant_backend import OpenAssistant
from tui.session.session import ChangeOptions, Session
from tui.session.training import StartTraining, train_adapter

__all__ = ["ChangeOptions", "OpenAssistant", "Session", "StartTraining", "train_adapter"]
