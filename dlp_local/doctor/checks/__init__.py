"""The checks: of the machine, of a pack, and of what the pack in use answers.

A new check of the machine or of a pack is a function in the list `CHECKS` of `machine.py` or `packs.py`. `run.py` asks
`machine.llama_cpp` apart, whose findings the checks of packs need, and `engine.py` and `answers.py` for the pack in use
alone.
"""
