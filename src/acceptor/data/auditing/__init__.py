"""What is wrong with a data set, and what is the same in it."""
