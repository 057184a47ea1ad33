"""What is trained, with which options: preprocessing, sizing, training, calibration, distillation."""
