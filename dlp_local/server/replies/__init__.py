"""The JSON of replies, a type for each object, from which the OpenAPI document is made."""
