"""YOLOv8 for road assets with the Refined Generalized Focal Loss."""

__version__ = "0.1.0"
