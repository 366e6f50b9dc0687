"""What holds where nothing is stated, for commands and functions alike."""

from __future__ import annotations

MIN_PROBABILITY = 0.2
"""Assets less probable than this are left out: on embedded drives it keeps 0.95 of what the shipped detector found
twice, and of what is listed 0.85 and more is there."""
