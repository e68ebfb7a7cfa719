"""Calls of tools: how a model writes them, in its template's way or in plain words, and how they are read."""
