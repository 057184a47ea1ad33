"""Readers of files, one format a file: chunks of rows, read as the server reads requests."""
