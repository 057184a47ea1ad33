"""The command line: its options, its signals, its progress bars, a run."""
