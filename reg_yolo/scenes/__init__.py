"""The embedded highway: a procedural road whose truth is known, as still images and as drives."""

from reg_yolo.scenes.contact_sheet import write_contact_sheet
from reg_yolo.scenes.drives.gnss import NoiseModel
from reg_yolo.scenes.drives.writing import DriveSummary, write_drive
from reg_yolo.scenes.labelling.labels import LabelRule
from reg_yolo.scenes.stills.writing import STILLS_SCHEMA, StillsSummary, write_stills
from reg_yolo.scenes.world.catalogue import CLASS_NAMES, DEFAULT_MIX, MASK_CLASSES

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
