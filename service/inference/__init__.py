"""Arrays to arrays: models, their schemas, sessions and batches. Knows nothing of HTTP."""
