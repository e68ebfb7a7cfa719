"""The endpoints: from a request to its reply."""
