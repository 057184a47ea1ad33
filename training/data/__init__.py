"""Loading data sets, describing them, and splitting their rows."""
