"""HTTP: connections, paths, protocols and codecs, from bytes to arrays and back."""
