"""The JSON of requests: their fields, checked, and the turn that each asks for."""
