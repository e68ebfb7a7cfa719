"""Engines that exist already, on this machine or another: llama-server and vLLM, over HTTP."""
