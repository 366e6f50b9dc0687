"""The embedded highway: a procedural road whose truth is known, as still pictures and as drives."""

from reg_yolo.scenes.catalogue import CLASS_NAMES, DEFAULT_MIX, MASK_CLASSES
from reg_yolo.scenes.drive import DriveSummary, write_drive
from reg_yolo.scenes.gnss import NoiseModel
from reg_yolo.scenes.labels import LabelRule
from reg_yolo.scenes.sheet import write_contact_sheet
from reg_yolo.scenes.stills import STILLS_SCHEMA, StillsSummary, write_stills

__all__ = [
    "CLASS_NAMES",
    "DEFAULT_MIX",
    "MASK_CLASSES",
    "STILLS_SCHEMA",
    "DriveSummary",
    "LabelRule",
    "NoiseModel",
    "StillsSummary",
    "write_contact_sheet",
    "write_drive",
    "write_stills",
]
