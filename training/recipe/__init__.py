"""What is fitted, with which choices: preprocessing, training, calibration, distillation."""
