"""Small masked ONNX models, as the exporters people use write them."""
