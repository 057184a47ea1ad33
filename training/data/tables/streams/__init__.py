"""Tables that are larger than memory: found out about in one pass over their files, and read again in each epoch."""
