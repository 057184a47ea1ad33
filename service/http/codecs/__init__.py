"""Bytes to checked arrays, and arrays to bytes."""
