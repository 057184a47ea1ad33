"""What the exported graph contains: preprocessing, network, whitening, calibration."""
