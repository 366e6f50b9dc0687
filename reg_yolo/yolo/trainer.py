"""Trainers to hand to Ultralytics, one for each task."""

from ultralytics.models.yolo.detect import DetectionTrainer

from reg_yolo.yolo.training import RegTraining


class RegDetectionTrainer(RegTraining, DetectionTrainer):
    """Ultralytics' detection trainer with the REG criterion.

    Example:
        >>> trainer = RegDetectionTrainer.with_settings({"preset": "reg", "focal": {"gamma": 1.5}})
        >>> YOLO("yolov8n.yaml").train(trainer=trainer, data="data.yaml", epochs=100)
    """
