"""Training of LoRA adapters on the dequantized weights of the very GGUF they will run on.

`backbone` computes a frozen Llama under several adapters at once, `adapters` holds those adapters and reads and writes
them as PEFT folders, `data` packs rows into batches, `optimizer` and `trainer` fit them, `decode` answers greedily.
"""
