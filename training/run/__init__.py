"""A run from a data set to a published version, for the command line and for Python."""
