"""An HTTP service of judges that accounts for every request."""
