"""What the joint data set assumes about Ultralytics' data sets and transforms, in the style of `assumptions_training`.

Every assumption is a function that raises AssertionError when upstream no longer does what the data set is built on.
`tests/host` runs all of them.
"""

import inspect
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from ultralytics.data import augment
from ultralytics.data.base import BaseDataset
from ultralytics.data.build import build_dataloader, build_yolo_dataset
from ultralytics.data.dataset import YOLOConcatDataset, YOLODataset
from ultralytics.data.utils import exif_size, polygons2masks_overlap
from ultralytics.utils import DEFAULT_CFG_DICT
from ultralytics.utils.instance import Instances
from ultralytics.utils.ops import segments2boxes

from reg_yolo.yolo.datasets.joint_transforms import COPY_PASTE_OVERLAP, CUTMIX_BOX_REMAINDER, REPLACEMENTS


def labels_come_from_two_hooks() -> None:
    """A data set lists images by `get_img_files`, reads labels by `get_labels`, and only then filters and sorts."""
    source = inspect.getsource(BaseDataset.__init__)
    order = [
        source.index(call)
        for call in (
            "self.get_img_files(self.img_path)",
            "self.labels = self.get_labels()",
            "self.update_labels(include_class=classes)",
            "self.set_rectangle()",
            "self.build_transforms(hyp=copy(hyp))",
        )
    ]
    assert order == sorted(order)


def label_cache_is_used_by_get_labels_only() -> None:
    """Upstream's label cache is read and written below `get_labels`, which is ours."""
    assert "_load_or_scan_cache(" in inspect.getsource(YOLODataset.get_labels)
    assert "cache_labels" not in inspect.getsource(BaseDataset)
    users = [
        name
        for name, member in inspect.getmembers(YOLODataset, inspect.isfunction)
        if "dataset_cache_file(" in inspect.getsource(member)
    ]
    assert sorted(users) == ["_load_or_scan_cache", "cache_labels"]


def class_filter_keeps_outlines_in_step() -> None:
    """`update_labels` filters `cls`, `bboxes` and the list `segments` alike; an empty outline is kept like another."""
    dataset: Any = SimpleNamespace(single_cls=False, labels=[])
    empty: list[list[float]] = []
    outline = [[0.0, 0.0]]
    dataset.labels.append(
        {
            "cls": np.array([[0.0], [1.0], [1.0]]),
            "bboxes": np.arange(12).reshape(3, 4),
            "segments": [outline, empty, outline],
        }
    )
    BaseDataset.update_labels(dataset, [1])
    assert dataset.labels[0]["bboxes"].tolist() == [[4, 5, 6, 7], [8, 9, 10, 11]]
    assert dataset.labels[0]["segments"] == [empty, outline]


def rectangles_need_these_attributes() -> None:
    """`set_rectangle` sorts `labels` and `im_files` by aspect ratio, and `rect_shape` comes from `batch_shapes`."""
    source = inspect.getsource(BaseDataset.set_rectangle)
    used = set(re.findall(r"self\.(\w+)", source))
    known = {"ni", "batch_size", "labels", "im_files", "imgsz", "stride", "pad", "batch_shapes", "batch"}
    assert used == known, used
    assert 'label["rect_shape"] = self.batch_shapes[self.batch[index]]' in inspect.getsource(
        BaseDataset.get_image_and_label
    )


def pipeline_holds_known_transforms_only() -> None:
    """The training pipeline is made of these transforms, nested by `transforms` and `pre_transform`."""
    dataset = SimpleNamespace(cache=None, data={})
    found: set[type] = set()
    for mode in ("flip", "mixup"):
        settings = SimpleNamespace(**{**DEFAULT_CFG_DICT, "copy_paste_mode": mode, "augmentations": []})
        pending = [augment.v8_transforms(dataset, 640, settings)]
        while pending:
            step = pending.pop()
            found.add(type(step))
            pending += [*(step.transforms if isinstance(step, augment.Compose) else [])]
            pending += [inner for inner in [getattr(step, "pre_transform", None)] if inner is not None]
    untouched = {augment.Compose, augment.Mosaic, augment.MixUp, augment.RandomHSV, augment.RandomFlip}
    assert found == untouched | set(REPLACEMENTS), found


def transforms_have_the_overridden_hooks() -> None:
    """The hooks of upstream's transforms and data sets that ours override exist with these arguments."""
    expected = {
        augment.RandomPerspective.apply_instances: ["self", "labels", "params"],
        augment.CutMix.get_params: ["self", "labels"],
        augment.CopyPaste.get_params: ["self", "labels"],
        augment.CopyPaste.__call__: ["self", "labels"],
        augment.Albumentations.__call__: ["self", "labels"],
        augment.Format.apply_instances: ["self", "labels", "params"],
        YOLODataset.update_labels_info: ["self", "label"],
        YOLODataset.build_transforms: ["self", "hyp"],
        YOLODataset.close_mosaic: ["self", "hyp"],
        YOLOConcatDataset.close_mosaic: ["self", "hyp"],
        Instances.__init__: ["self", "bboxes", "segments", "keypoints", "bbox_format", "normalized"],
        exif_size: ["img"],
        segments2boxes: ["segments"],
    }
    for function, names in expected.items():
        assert list(inspect.signature(function).parameters) == names, function.__qualname__


def class_ids_travel_with_the_boxes() -> None:
    """Mosaic, mixup and cutmix join `cls` as they join the boxes; only texts read class ids on the way."""
    for transform in (augment.Mosaic._cat_labels, augment.MixUp.apply_instances, augment.CutMix.apply_instances):
        source = inspect.getsource(transform)
        assert "np.concatenate(" in source and "Instances.concatenate(" in source
    assert 'if "texts" not in labels:' in inspect.getsource(augment.BaseMixTransform._update_label_text)


def perspective_treats_outlines_and_boxes_apart() -> None:
    """Without outlines, boxes are transformed as boxes and need a larger remainder; with them, outlines decide."""
    source = inspect.getsource(augment.RandomPerspective.apply_instances)
    assert "if len(segments):" in source and "area_thr=0.01 if len(segments) else 0.10" in source


def thresholds_are_the_ones_we_repeat() -> None:
    """Copy-paste refuses places covered by 0.30, cutmix keeps a box of which a tenth is left, an outline of 0.01."""
    assert f"ioa < {COPY_PASTE_OVERLAP:.2f}" in inspect.getsource(augment.CopyPaste.get_params)
    source = inspect.getsource(augment.CutMix.get_params)
    assert f'0.01 if len(labels["instances"].segments) else {CUTMIX_BOX_REMAINDER}' in source
    assert all(f'params["{key}"]' in source for key in ("skip", "area", "indexes2"))


def copy_paste_keeps_its_choice_in_the_parameters() -> None:
    """What is pasted is `selected` of `instances2`; the other image is `mix_labels[0]` after `pre_transform`."""
    source = inspect.getsource(augment.CopyPaste.get_params)
    assert 'params["selected"]' in source and 'params["instances2"]' in source
    assert 'params["selected"]' in inspect.getsource(augment.CopyPaste.apply_image)
    assert "mix_labels[i] = self.pre_transform(data)" in inspect.getsource(augment.BaseMixTransform.get_params)


def albumentations_take_boxes_by_keyword() -> None:
    """Boxes go in as `bboxes`, `class_labels` and `idx`, and what is left comes back under the same names."""
    source = inspect.getsource(augment.Albumentations.__call__)
    for text in ("bboxes=instances.bboxes", "class_labels=cls", "idx=np.arange(len(cls))", 'new["idx"]'):
        assert text in source, text
    assert 'len(new["class_labels"]) or not len(cls)' in source


def format_paints_the_rows_it_is_given() -> None:
    """The mask map holds i + 1 for the i-th row; box-only rows are added behind those that were painted."""
    source = inspect.getsource(augment.Format.apply_instances)
    assert all(f'params.get("{key}"' in source for key in ("cls", "instances", "nl", "w", "h"))
    assert "np.maximum(masks, ms[i] * (i + 1), out=masks)" in inspect.getsource(polygons2masks_overlap)


def loaders_use_the_data_sets_collate() -> None:
    """`build_dataloader` takes `collate_fn` of the data set, which leaves unknown keys as a sequence."""
    assert 'getattr(dataset, "collate_fn", None)' in inspect.getsource(build_dataloader)
    assert "new_batch[k] = value" in inspect.getsource(YOLODataset.collate_fn)


def stock_data_sets_are_built_with_these_arguments() -> None:
    """`build_yolo_dataset` hands a data set these arguments; ours is built with the same ones."""
    source = inspect.getsource(build_yolo_dataset)
    call = source[source.index("return dataset(") :]
    names = {line.split("=")[0].strip() for line in call.splitlines()[1:] if "=" in line}
    assert names == {
        "img_path", "imgsz", "batch_size", "augment", "hyp", "rect", "cache", "single_cls", "stride", "pad", "prefix",
        "task", "classes", "data", "fraction",
    }  # fmt: skip
    assert 'pad = 0.0 if mode == "train" else 0.5' in source and "rect = cfg.rect or rect" in source


DATA_ASSUMPTIONS: tuple[Callable[[], None], ...] = (
    labels_come_from_two_hooks,
    label_cache_is_used_by_get_labels_only,
    class_filter_keeps_outlines_in_step,
    rectangles_need_these_attributes,
    pipeline_holds_known_transforms_only,
    transforms_have_the_overridden_hooks,
    class_ids_travel_with_the_boxes,
    perspective_treats_outlines_and_boxes_apart,
    thresholds_are_the_ones_we_repeat,
    copy_paste_keeps_its_choice_in_the_parameters,
    albumentations_take_boxes_by_keyword,
    format_paints_the_rows_it_is_given,
    loaders_use_the_data_sets_collate,
    stock_data_sets_are_built_with_these_arguments,
)
"""Every assumption about Ultralytics that the joint data set is built on."""
