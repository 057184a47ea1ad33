"""Search of settings: many short runs, and which of them did best on the validation rows. Needs optuna."""
