"""Protocols: how requests of one API become rows and options, and outputs and errors become responses."""
