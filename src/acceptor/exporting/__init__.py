"""Exports a judge to one ONNX file."""
