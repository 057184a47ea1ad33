"""The server: loads a published model into ONNX Runtime and answers over HTTP. Never imports torch."""
