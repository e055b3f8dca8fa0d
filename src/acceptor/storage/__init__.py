"""Files that appear whole, locks, manifests."""
