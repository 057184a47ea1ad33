"""The command line: its options, and a run."""
