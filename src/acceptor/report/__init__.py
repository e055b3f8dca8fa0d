"""Reports of runs: the HTML page, figures, the model card."""
