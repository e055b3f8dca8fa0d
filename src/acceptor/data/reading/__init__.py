"""Files of every kind to strings, exactly."""
