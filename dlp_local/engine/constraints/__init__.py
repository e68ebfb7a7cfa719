"""What an answer may be, as a grammar: JSON schemas and calls of tools in llama.cpp's GBNF."""
