"""Pure values and words: standard library and pydantic only."""
