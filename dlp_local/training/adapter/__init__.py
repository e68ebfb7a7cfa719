"""Training of LoRA adapters on the backbone that they will run on, from a person's own examples.

`rows` reads examples, `encoding` writes them as the backbone's own chat template does, `batches` packs them; `backbone`
is the dequantized GGUF in torch (`gguf_model`, `gguf_config`), `methods` are the ways to parametrize an adapter, `fit`
trains, `export` writes. `judging` compares it with what the pack answers today, `routing_effect` looks at what it takes
from others, and `session` is all of that in order, in this process or, by `process`, in one of its own.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
# Threads of GNU OpenMP that wait by spinning take the cores from each other on a busy machine: a step of 4 seconds took
# over 60. Those that never spin are woken anew for each product: 72 tokens a second on two cores, where a spin of some
# microseconds gives 121, and beside two busy programs 44 and 45. It is read when the first library loads OpenMP, torch
# or llama.cpp, which have one between them.
