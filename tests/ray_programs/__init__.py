"""Programs that use Ray, run by tests in an environment that has it."""
