"""A judge as one ONNX file."""
