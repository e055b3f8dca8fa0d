"""A judge: loaded, its logits, its verdicts, and files of any size judged."""
