"""TLS: the files of a certificate, their rotation, and the handshake of a connection."""
