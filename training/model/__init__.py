"""What the exported graph holds: preprocessing, the network, whitening, calibration."""
