"""What shows a conversation: the window, or lines on a plain terminal; `base.py` is their interface."""
