"""API keys: their file, what a request with a key may do, and how fast."""
