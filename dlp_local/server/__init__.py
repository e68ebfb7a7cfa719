"""The routed assistant over HTTP, for clients of OpenAI's API."""
