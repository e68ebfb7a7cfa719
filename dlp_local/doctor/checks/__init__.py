"""The checks: of the machine, of a pack, and of what the pack in use answers.

A new check is a function in the list `CHECKS` of its file.
"""
