"""The commands, one file for each; `main.py` is their table."""
