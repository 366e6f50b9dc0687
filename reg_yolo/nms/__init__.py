"""Suppression of overlapping boxes that weighs how well a box is placed: balanced NMS, and soft-NMS next to it.

Balanced NMS works on torch and torchvision alone, and takes all images and classes at once. Soft-NMS takes one box
after the other by its nature, on the processor in NumPy.
"""

from reg_yolo.nms.balanced import balanced_nms
from reg_yolo.nms.soft import soft_nms
from reg_yolo.nms.survivors import Survivors

__all__ = ["balanced_nms", "soft_nms", "Survivors"]
