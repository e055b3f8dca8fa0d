"""Fine-tuning: optimizer, loop."""
