"""Engines: a backbone that answers conversations, each answer under a mix of adapters of its own."""
