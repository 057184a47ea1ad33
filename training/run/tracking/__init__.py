"""Tracking of runs by MLflow and TensorBoard, which are imported only if they are asked for."""
