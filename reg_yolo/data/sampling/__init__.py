"""Sampling for rare classes: how often an image is shown, and which images an epoch holds."""
