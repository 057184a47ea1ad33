"""What the exported graph contains: preprocessing, features of tables, network, whitening, calibration."""
