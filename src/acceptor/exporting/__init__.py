"""Exports a judge to one ONNX file or a Hugging Face folder."""
