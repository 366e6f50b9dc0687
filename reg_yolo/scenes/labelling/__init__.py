"""What is seen of an asset, and its label row."""
