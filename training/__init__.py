"""The trainer: fits a multi-layer perceptron and publishes it as an ONNX graph that the service runs."""
