"""Own data: converted, checked, described, split and tiled, and taken back to labelling tools.

The names below are imported when they are first used. The modules behind them may move.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reg_yolo.data.check.run import CheckReport as CheckReport
    from reg_yolo.data.check.run import check_dataset as check_dataset
    from reg_yolo.data.check.run import write_check as write_check
    from reg_yolo.data.convert.report import ConversionSummary as ConversionSummary
    from reg_yolo.data.convert.run import convert_dataset as convert_dataset
    from reg_yolo.data.dataset.dataset_yaml import DatasetDescription as DatasetDescription
    from reg_yolo.data.dataset.dataset_yaml import read_dataset_yaml as read_dataset_yaml
    from reg_yolo.data.dataset.findings import Finding as Finding
    from reg_yolo.data.export.formats import write_labelled as write_labelled
    from reg_yolo.data.export.writer import LabelledImage as LabelledImage
    from reg_yolo.data.images.similarity import Similarity as Similarity
    from reg_yolo.data.objects.annotations import ObjectAnnotation as ObjectAnnotation
    from reg_yolo.data.prelabel.run import prelabel_detections as prelabel_detections
    from reg_yolo.data.prelabel.summary import PrelabelSummary as PrelabelSummary
    from reg_yolo.data.split.run import SplitResult as SplitResult
    from reg_yolo.data.split.run import split_dataset as split_dataset
    from reg_yolo.data.stats.figure import write_stats_figure as write_stats_figure
    from reg_yolo.data.stats.run import DatasetStats as DatasetStats
    from reg_yolo.data.stats.run import dataset_stats as dataset_stats
    from reg_yolo.data.stats.tables import stats_text as stats_text
    from reg_yolo.data.tile.run import TileResult as TileResult
    from reg_yolo.data.tile.run import tile_dataset as tile_dataset

_HOMES = {
    "convert_dataset": "reg_yolo.data.convert.run",
    "ConversionSummary": "reg_yolo.data.convert.report",
    "LabelledImage": "reg_yolo.data.export.writer",
    "write_labelled": "reg_yolo.data.export.formats",
    "ObjectAnnotation": "reg_yolo.data.objects.annotations",
    "prelabel_detections": "reg_yolo.data.prelabel.run",
    "PrelabelSummary": "reg_yolo.data.prelabel.summary",
    "check_dataset": "reg_yolo.data.check.run",
    "write_check": "reg_yolo.data.check.run",
    "CheckReport": "reg_yolo.data.check.run",
    "Finding": "reg_yolo.data.dataset.findings",
    "split_dataset": "reg_yolo.data.split.run",
    "SplitResult": "reg_yolo.data.split.run",
    "Similarity": "reg_yolo.data.images.similarity",
    "tile_dataset": "reg_yolo.data.tile.run",
    "TileResult": "reg_yolo.data.tile.run",
    "dataset_stats": "reg_yolo.data.stats.run",
    "DatasetStats": "reg_yolo.data.stats.run",
    "stats_text": "reg_yolo.data.stats.tables",
    "write_stats_figure": "reg_yolo.data.stats.figure",
    "read_dataset_yaml": "reg_yolo.data.dataset.dataset_yaml",
    "DatasetDescription": "reg_yolo.data.dataset.dataset_yaml",
}

__all__ = [
    "convert_dataset",
    "ConversionSummary",
    "LabelledImage",
    "write_labelled",
    "ObjectAnnotation",
    "prelabel_detections",
    "PrelabelSummary",
    "check_dataset",
    "write_check",
    "CheckReport",
    "Finding",
    "split_dataset",
    "SplitResult",
    "Similarity",
    "tile_dataset",
    "TileResult",
    "dataset_stats",
    "DatasetStats",
    "stats_text",
    "write_stats_figure",
    "read_dataset_yaml",
    "DatasetDescription",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
