"""Trainers to hand to Ultralytics, one for each task."""

from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.models.yolo.segment import SegmentationTrainer
from ultralytics.models.yolo.semantic import SemanticSegmentationTrainer

from reg_yolo.yolo.training.mixin import RegTraining
from reg_yolo.yolo.training.semantic import SemanticTraining
from reg_yolo.yolo.training.task_mixins import JointTraining, SegmentationTraining


class RegDetectionTrainer(RegTraining, DetectionTrainer):
    """Ultralytics' detection trainer with the REG criterion.

    Example:
        >>> trainer = RegDetectionTrainer.with_settings({"preset": "reg", "focal": {"gamma": 1.5}})
        >>> YOLO("yolov8n.yaml").train(trainer=trainer, data="data.yaml", epochs=100)
    """


class RegSegmentationTrainer(SegmentationTraining, SegmentationTrainer):
    """Ultralytics' segmentation trainer with the REG criterion on classes and mask pixels.

    Example:
        >>> trainer = RegSegmentationTrainer.with_settings("reg")
        >>> YOLO("yolov8n-seg.yaml").train(trainer=trainer, data="data.yaml", epochs=100)
    """


class RegJointTrainer(JointTraining, SegmentationTrainer):
    """One segmentation network for boxes of all classes and masks of some, from one data set or from two.

    Example:
        >>> joint = {"data": "roads.yaml", "mask_classes": ["sign", "wall"], "lambda_seg": 1.0}
        >>> trainer = RegJointTrainer.with_settings("reg", joint=joint)
        >>> YOLO("yolov8n-seg.yaml").train(trainer=trainer, data="roads.yaml", epochs=100)
    """


class RegSemanticTrainer(SemanticTraining, SemanticSegmentationTrainer):
    """Ultralytics' semantic segmentation trainer with the REG criterion on pixels.

    Example:
        >>> trainer = RegSemanticTrainer.with_settings({"preset": "reg", "semantic": {"dice": False, "auxiliary": 0}})
        >>> trainer(overrides={"model": "yolov8n-sem.yaml", "data": "roads.yaml", "epochs": 100}).train()
    """
