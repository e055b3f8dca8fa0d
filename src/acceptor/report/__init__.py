"""What people see of a run: figures, model card."""
