"""Writers of scored rows, one format a file."""
