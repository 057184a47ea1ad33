"""What is trained, with which options: preprocessing, training, calibration, distillation."""
