"""What makes the bundled pack: data, training, export and measurement (needs the `train` extra)."""
