"""Trains the mini-MLP router with numpy and writes it as ONNX."""
