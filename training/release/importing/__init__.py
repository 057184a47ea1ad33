"""Makes a served version of an ONNX file that another framework wrote."""
