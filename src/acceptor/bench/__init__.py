"""Benchmarks: speed against the notebook's loop, the Hugging Face Trainer and pipeline, and ONNX Runtime."""
