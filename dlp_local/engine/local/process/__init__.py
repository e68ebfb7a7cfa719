"""The engine in a process of its own: client and subprocess here, server there, and the protocol between them."""
