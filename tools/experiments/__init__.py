"""The experiments of docs/experiments.md, one file a part; `tools.reproduce` runs them."""
