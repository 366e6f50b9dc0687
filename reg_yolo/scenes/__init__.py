"""The embedded highway: a procedural road whose truth is known, as still images and as drives.

The rooms build on each other in this order: world, assets, scenery, places, rendering, labelling, stills, drives; a
room imports none that comes later. The names below are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reg_yolo.scenes.contact_sheet import write_contact_sheet as write_contact_sheet
    from reg_yolo.scenes.drives.features import DriveFeatures as DriveFeatures
    from reg_yolo.scenes.drives.gnss import NoiseModel as NoiseModel
    from reg_yolo.scenes.drives.writing import DriveSummary as DriveSummary
    from reg_yolo.scenes.drives.writing import write_drive as write_drive
    from reg_yolo.scenes.labelling.labels import LabelRule as LabelRule
    from reg_yolo.scenes.stills.writing import STILLS_SCHEMA as STILLS_SCHEMA
    from reg_yolo.scenes.stills.writing import StillsSummary as StillsSummary
    from reg_yolo.scenes.stills.writing import write_stills as write_stills
    from reg_yolo.scenes.world.catalogue import CLASS_NAMES as CLASS_NAMES
    from reg_yolo.scenes.world.catalogue import DEFAULT_MIX as DEFAULT_MIX
    from reg_yolo.scenes.world.catalogue import MASK_CLASSES as MASK_CLASSES

_HOMES = {
    "CLASS_NAMES": "reg_yolo.scenes.world.catalogue",
    "DEFAULT_MIX": "reg_yolo.scenes.world.catalogue",
    "MASK_CLASSES": "reg_yolo.scenes.world.catalogue",
    "STILLS_SCHEMA": "reg_yolo.scenes.stills.writing",
    "StillsSummary": "reg_yolo.scenes.stills.writing",
    "write_stills": "reg_yolo.scenes.stills.writing",
    "LabelRule": "reg_yolo.scenes.labelling.labels",
    "DriveFeatures": "reg_yolo.scenes.drives.features",
    "DriveSummary": "reg_yolo.scenes.drives.writing",
    "write_drive": "reg_yolo.scenes.drives.writing",
    "NoiseModel": "reg_yolo.scenes.drives.gnss",
    "write_contact_sheet": "reg_yolo.scenes.contact_sheet",
}

__all__ = [
    "CLASS_NAMES",
    "DEFAULT_MIX",
    "MASK_CLASSES",
    "STILLS_SCHEMA",
    "StillsSummary",
    "write_stills",
    "LabelRule",
    "DriveFeatures",
    "DriveSummary",
    "write_drive",
    "NoiseModel",
    "write_contact_sheet",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
