"""Builds Albumentations transforms from plain settings, and refuses what Albumentations or Ultralytics would let slip.

Albumentations only warns of an argument that it does not know, and Ultralytics logs a transform that cannot be built
and trains without any. Here both are errors, and each transform is tried on an image before a run starts.
"""

from __future__ import annotations

import inspect
import math
import os
import warnings
from typing import Any

import numpy as np
from pydantic import ValidationError

from reg_yolo.config.problems import did_you_mean, show_value
from reg_yolo.config.schema import AlbumentationsSettings
from reg_yolo.errors import ConfigError

# Albumentations asks the network for its newest version when it is imported, unless this is set before.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations

SPATIAL_TRANSFORMS = frozenset(
    {
        "Affine",
        "CoarseDropout",
        "ElasticTransform",
        "GridDistortion",
        "GridDropout",
        "HorizontalFlip",
        "NoOp",
        "OpticalDistortion",
        "Perspective",
        "PixelDropout",
        "Rotate",
        "SafeRotate",
        "VerticalFlip",
        "XYMasking",
    }
)
"""Transforms that move or cover pixels and whose boxes stay right the way Ultralytics hands them over. The others
resize or turn the image, shuffle it, need data Ultralytics does not pass on, or leave boxes about what is gone."""

HIGHWAY: tuple[dict[str, dict[str, Any]], ...] = (
    # Rain: short streaks on a slightly darker image.
    {
        "RandomRain": {
            "slant_range": [-15, 15],
            "drop_length": 18,
            "drop_width": 1,
            "drop_color": [200, 200, 200],
            "blur_value": 3,
            "brightness_coefficient": 0.85,
            "p": 0.06,
        }
    },
    # Fog: contrast lost to a light veil. RandomFog would blur with a kernel of a thirtieth of the image (21 pixels at
    # 640), which wipes out far signs and poles, and takes 200 ms.
    {
        "RandomBrightnessContrast": {
            "brightness_limit": [0.25, 0.4],
            "contrast_limit": [-0.6, -0.4],
            "brightness_by_max": True,
            "p": 0.06,
        }
    },
    # Sun flare: a low sun in the upper part; the radius is in pixels and small enough to leave most objects in sight.
    {
        "RandomSunFlare": {
            "flare_roi": [0.0, 0.0, 1.0, 0.35],
            "src_radius": 45,
            "num_flare_circles_range": [2, 5],
            "method": "physics_based",
            "p": 0.05,
        }
    },
    # Shadow: of a tree, a truck or a bridge across the road.
    {
        "RandomShadow": {
            "shadow_roi": [0.0, 0.5, 1.0, 1.0],
            "num_shadows_limit": [1, 2],
            "shadow_dimension": 4,
            "shadow_intensity_range": [0.3, 0.5],
            "p": 0.08,
        }
    },
    # Motion blur: the kernel stays centred, because a shifted one would move the objects out of their boxes.
    {"MotionBlur": {"blur_limit": [3, 7], "allow_shifted": False, "p": 0.06}},
    # Low light: dusk, an underpass. The exponent in percent darkens the middle tones and keeps lamps bright.
    {"RandomGamma": {"gamma_limit": [125, 190], "p": 0.08}},
)
"""Preset `highway`: weather and light that a dash camera meets, each on about one image in fifteen."""

_PRESETS: dict[str, tuple[dict[str, dict[str, Any]], ...]] = {"none": (), "highway": HIGHWAY}

_PROBE_SHAPE = (96, 128, 3)
_PROBE_RUNS = 3


def build_transforms(settings: AlbumentationsSettings) -> list[albumentations.BasicTransform]:
    """Returns the transforms of the preset and then those of the list, each tried on an image.

    Ultralytics' own short list is not among them: `settings.mode` says whether it goes before them.

    Allowed are all pixel-level transforms that keep an 8-bit colour image one of the same size, and of those that
    move pixels the ones in `SPATIAL_TRANSFORMS`. Every transform survives `albumentations.to_dict`.
    Ultralytics applies them to BGR images after mosaic and geometry.

    Raises:
        ConfigError: a transform or an argument of it is unknown, a value is wrong, or the transform does not keep
            images and boxes as training needs them.
    """
    listed = [(f"albumentations.transforms[{index}]", entry) for index, entry in enumerate(settings.transforms)]
    preset = [(f"albumentations.preset {settings.preset}", entry) for entry in _PRESETS[settings.preset]]
    transforms = []
    for where, entry in [*preset, *listed]:
        name, arguments = (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))
        transforms.append(_build(name, dict(arguments), where))
    return transforms


def _build(name: str, arguments: dict[str, Any], where: str) -> albumentations.BasicTransform:
    transform_class = _transform_class(name, where)
    valid = [key for key in inspect.signature(transform_class.__init__).parameters if key != "self"]
    for key in arguments:
        if key not in valid:
            hint = did_you_mean(key, valid) or f" It takes {', '.join(valid)}."
            raise ConfigError(f"{where}: {name} has no argument {key}.{hint}")
    _check_finite(arguments, f"{where}: {name}")
    try:
        with warnings.catch_warnings():
            # Some wrong values only bring a warning, and the transform is built with its defaults.
            warnings.simplefilter("error", UserWarning)
            transform = transform_class(**arguments)
    except Exception as error:
        raise ConfigError(f"{where}: {name}{_reason(error)}") from None
    _try_out(transform, f"{where}: {name}")
    return transform


def _transform_class(name: str, where: str) -> type[albumentations.BasicTransform]:
    known = _known_transforms()
    if name in known:
        return known[name]
    found = getattr(albumentations, name, None) if name.isidentifier() else None
    if inspect.isclass(found) and issubclass(found, albumentations.BaseCompose):
        raise ConfigError(f"{where}: {name} is a composition; list its transforms one by one, each with its own p.")
    if inspect.isclass(found) and issubclass(found, albumentations.BasicTransform):
        raise ConfigError(
            f"{where}: {name} does not keep image size and boxes right in training. Use Ultralytics' own arguments "
            "(degrees, translate, scale, shear, perspective, fliplr, mosaic), or one of "
            f"{', '.join(sorted(SPATIAL_TRANSFORMS))}."
        )
    raise ConfigError(f"{where}: Albumentations has no transform {name}.{did_you_mean(name, known)}")


def _known_transforms() -> dict[str, type[albumentations.BasicTransform]]:
    """Returns the allowed transforms of the installed Albumentations by name."""
    found = {}
    for name in dir(albumentations):
        item = getattr(albumentations, name)
        if not inspect.isclass(item) or not issubclass(item, albumentations.BasicTransform):
            continue
        base = albumentations.ImageOnlyTransform
        pixel_level = issubclass(item, base) and item is not base
        if pixel_level or name in SPATIAL_TRANSFORMS:
            found[name] = item
    return found


def _try_out(transform: albumentations.BasicTransform, where: str) -> None:
    """Applies a transform for certain, as a worker would after it was pickled, and looks at what comes out."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, _PROBE_SHAPE, dtype=np.uint8)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            written = albumentations.to_dict(transform)
            copy = albumentations.from_dict(written)
            if albumentations.to_dict(copy) != written:
                raise ValueError("it does not survive being written down for the workers")
            copy.p = 1.0
            boxes = albumentations.BboxParams(format="yolo", label_fields=["class_labels"])
            pipeline = albumentations.Compose([copy], bbox_params=boxes, seed=0)
            results = [
                pipeline(image=image, bboxes=np.array([[0.5, 0.5, 0.4, 0.4]]), class_labels=[0])
                for _ in range(_PROBE_RUNS)
            ]
    except Exception as error:
        raise ConfigError(f"{where} does not work on an image with boxes alone{_reason(error)}") from None
    for result in results:
        changed = result["image"]
        shape, kind = getattr(changed, "shape", None), getattr(changed, "dtype", type(changed).__name__)
        if not isinstance(changed, np.ndarray) or shape != _PROBE_SHAPE or kind != np.uint8:
            raise ConfigError(
                f"{where} makes {_describe(shape, kind)} of an 8-bit colour image of shape {_PROBE_SHAPE}; expected "
                "shape and type to stay as they are. Leave it out: Ultralytics resizes and normalises itself."
            )


def _describe(shape: Any, kind: Any) -> str:
    return f"{kind} of shape {tuple(shape)}" if shape is not None else str(kind)


def _check_finite(value: Any, where: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where}: got {show_value(value)}, expected finite numbers.")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_finite(item, where)


def _reason(error: Exception) -> str:
    """Returns the first complaint of a failed construction as the end of one line."""
    cause = error.__cause__
    if isinstance(cause, ValidationError):
        first = cause.errors(include_url=False)[0]
        key = "".join(f".{part}" if isinstance(part, str) else f"[{part}]" for part in first["loc"])
        if first["type"] == "missing":
            return f"{key}: missing."
        message = first["msg"].removeprefix("Value error, ")
        message = message[:1].lower() + message[1:]
        if not key:
            return f": {message.rstrip('.')}."
        return f"{key}: got {show_value(first['input'])}; {message.rstrip('.')}."
    text = str(error).strip() or type(error).__name__
    return f": {text.splitlines()[0].rstrip('.')}."
