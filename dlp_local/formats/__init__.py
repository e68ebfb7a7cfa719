"""Files of weights, read, checked and written: GGUF headers, GGUF adapters, PEFT folders."""
