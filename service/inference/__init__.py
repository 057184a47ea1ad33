"""Arrays to arrays: the published models, their sessions and batches. Knows no HTTP."""
