"""The engine on this machine: llama.cpp by llama-cpp-python; `library.py` alone imports it."""
