"""gRPC's side of the certificate: the same files as HTTP's, which may be replaced."""

from __future__ import annotations

import grpc

from service.errors import StartError
from service.tls.files import PASSWORD
from service.tls.rotation import Rotation


def server_credentials(tls: Rotation) -> grpc.ServerCredentials:
    """Credentials that follow the files. Raises `StartError` if the key is encrypted, which gRPC cannot read."""
    first = tls.current
    if first.key_is_encrypted:
        raise StartError(f"gRPC cannot read an encrypted key; give it decrypted, without {PASSWORD}, or no --grpc-port")
    in_use = first

    def newest() -> grpc.ServerCertificateConfiguration | None:
        nonlocal in_use
        if tls.current is in_use:
            return None
        in_use = tls.current
        return _configuration(tls)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(tls), newest, require_client_authentication=bool(first.client_ca)
    )


def _configuration(tls: Rotation) -> grpc.ServerCertificateConfiguration:
    given = tls.current
    return grpc.ssl_server_certificate_configuration([(given.key, given.certificate)], given.client_ca or None)
