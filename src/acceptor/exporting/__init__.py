"""Exports a judge to one ONNX file, a Hugging Face folder or a page."""
