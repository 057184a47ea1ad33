"""mlp-models, the command line for published versions: list, check, roll back, delete, compare."""
