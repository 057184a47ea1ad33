"""Batch scoring: the rows of files through a published model, with the answers that a server gives."""
