"""One training: `train`, the loop, the optimizer, checkpoints, the collapse check."""
