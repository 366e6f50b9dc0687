"""Drives along a road: its traffic, its frames, and the truth next to them."""
