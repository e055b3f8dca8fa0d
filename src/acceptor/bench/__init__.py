"""Speed, measured: against the notebook chapter, the Hugging Face Trainer, its pipeline, and ONNX Runtime."""
