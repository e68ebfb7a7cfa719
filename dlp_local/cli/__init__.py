"""The commands, one file for each; `cli.py` is their table."""
