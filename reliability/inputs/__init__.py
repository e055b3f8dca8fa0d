"""What people bring: files, labels, objects and machines as they are, tried from outside; `make inputs`."""
