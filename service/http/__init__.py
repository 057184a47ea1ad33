"""Bytes to arrays and back: the doors, what may pass them, and what is answered."""
