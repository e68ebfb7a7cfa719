"""PEFT folders (safetensors and `adapter_config.json`) → GGUF adapters, without torch."""
