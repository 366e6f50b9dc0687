"""Albumentations transforms from settings: what is built, what is refused, and that boxes stay right in training."""

import os
import pickle
from typing import Any

import albumentations
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reg_yolo.config.schema import AlbumentationsSettings
from reg_yolo.data.augmentation import HIGHWAY, SPATIAL_TRANSFORMS, build_transforms
from reg_yolo.errors import ConfigError


def build(*transforms: Any, **more: Any) -> list[albumentations.BasicTransform]:
    return build_transforms(AlbumentationsSettings.from_mapping({"transforms": list(transforms), **more}))


def road_image(seed: int = 0) -> np.ndarray:
    """Sky above, road below, with a bright sign on it: enough for each effect to leave a trace."""
    rng = np.random.default_rng(seed)
    image = np.zeros((240, 320, 3), np.uint8)
    image[:120] = (200, 160, 120)
    image[120:] = (90, 90, 90)
    image[60:140, 140:200] = (30, 200, 230)
    return np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)


def forced(transform: albumentations.BasicTransform, seed: int) -> np.ndarray:
    copy = albumentations.from_dict(albumentations.to_dict(transform))
    copy.p = 1.0
    return np.asarray(albumentations.Compose([copy], seed=seed)(image=road_image())["image"])


def test_albumentations_does_not_ask_the_network_for_its_version() -> None:
    assert os.environ["NO_ALBUMENTATIONS_UPDATE"]


def test_nothing_asked_for_is_nothing_built() -> None:
    assert build() == []
    assert build(mode="replace") == []


def test_transforms_come_in_order_after_the_preset() -> None:
    built = build("Blur", {"GaussNoise": {"std_range": [0.02, 0.06], "p": 0.1}}, preset="highway")
    names = [type(transform).__name__ for transform in built]
    assert names == [next(iter(entry)) for entry in HIGHWAY] + ["Blur", "GaussNoise"]
    assert built[-1].p == 0.1
    assert built[-1].std_range == (0.02, 0.06)


def test_the_highway_preset_has_its_six_effects_each_now_and_then() -> None:
    built = build(preset="highway")
    assert [type(transform).__name__ for transform in built] == [
        "RandomRain",
        "RandomBrightnessContrast",
        "RandomSunFlare",
        "RandomShadow",
        "MotionBlur",
        "RandomGamma",
    ]
    assert all(0.05 <= transform.p <= 0.1 for transform in built)
    # A shifted kernel would move objects out of their boxes.
    assert built[4].allow_shifted is False


@pytest.mark.parametrize("index", range(len(HIGHWAY)), ids=[next(iter(entry)) for entry in HIGHWAY])
def test_each_highway_effect_changes_the_image_and_leaves_the_objects_in_sight(index: int) -> None:
    transform = build(preset="highway")[index]
    before = road_image()
    for seed in range(5):
        after = forced(transform, seed)
        assert after.shape == before.shape
        assert after.dtype == np.uint8
        assert not np.array_equal(after, before)
        sign, surroundings = after[80:120, 150:190].astype(float), after[150:230].astype(float)
        assert np.abs(sign.mean((0, 1)) - surroundings.mean((0, 1))).max() > 25


def test_fog_is_a_veil_and_low_light_is_dark() -> None:
    _, fog, _, _, _, low_light = build(preset="highway")
    before = road_image().astype(float)
    foggy, dark = forced(fog, 1).astype(float), forced(low_light, 1).astype(float)
    assert foggy.mean() > before.mean()
    assert foggy.std() < 0.7 * before.std()
    assert dark.mean() < 0.9 * before.mean()


@pytest.mark.parametrize("name", sorted(SPATIAL_TRANSFORMS))
def test_allowed_spatial_transforms_exist_and_build(name: str) -> None:
    (transform,) = build({name: {"p": 0.3}})
    assert isinstance(transform, albumentations.DualTransform)


@pytest.mark.filterwarnings("ignore:Argument")
def test_built_transforms_travel_as_data_and_by_pickle() -> None:
    for transform in build("CLAHE", "RGBShift", "SafeRotate", {"Affine": {"rotate": [-5, 5]}}, preset="highway"):
        written = albumentations.to_dict(transform)
        assert albumentations.to_dict(albumentations.from_dict(written)) == written
        assert repr(pickle.loads(pickle.dumps(transform))) == repr(transform)


WRONG = [
    ("RandomRian", "Albumentations has no transform RandomRian. Did you mean RandomRain?"),
    ("os", "Albumentations has no transform os."),
    ("random rain", "Albumentations has no transform random rain."),
    ("", "got"),
    ({"RandomRain": {"drop_lenght": 3}}, "RandomRain has no argument drop_lenght. Did you mean drop_length?"),
    ({"RandomRain": {"qqq": 3}}, "RandomRain has no argument qqq. It takes slant_range, drop_length"),
    ({"RandomRain": {"always_apply": True}}, "RandomRain has no argument always_apply."),
    ({"RandomRain": {"self": 1}}, "RandomRain has no argument self."),
    ({"RandomRain": {"p": 3}}, "RandomRain.p: got 3; input should be less than or equal to 1."),
    ({"RandomRain": {"p": float("nan")}}, "RandomRain: got .nan, expected finite numbers."),
    ({"GaussNoise": {"std_range": [0.1, float("inf")]}}, "GaussNoise: got .inf, expected finite numbers."),
    ({"RandomRain": {"rain_type": "x"}}, 'RandomRain.rain_type: got "x"; input should be'),
    ({"GaussNoise": {"std_range": [0.9, 0.1]}}, "GaussNoise.std_range: got [0.9, 0.1]; first value"),
    ({"MotionBlur": {"blur_limit": [9, 3]}}, "MotionBlur: blur_limit: Invalid range (9, 3)"),
    ({"RandomSunFlare": {"flare_roi": [1, 0, 0, 1]}}, "RandomSunFlare: invalid flare_roi."),
    ({"CLAHE": {"tile_grid_size": "a"}}, 'CLAHE.tile_grid_size: got "a"; input should be a valid tuple.'),
    ("TextImage", "TextImage.font_path: missing."),
    ("FDA", "FDA does not work on an image with boxes alone: "),
    ("Normalize", "Normalize makes float32 of shape (96, 128, 3) of an 8-bit colour image"),
    ("ToFloat", "ToFloat makes float32"),
    ({"ToGray": {"num_output_channels": 1}}, "ToGray makes uint8 of shape (96, 128)"),
    ({"Perspective": {"keep_size": False}}, "Perspective makes uint8 of shape"),
    ({"Affine": {"rotate": [-20, 20], "fit_output": True}}, "Affine makes uint8 of shape"),
    ("RandomCrop", "RandomCrop does not keep image size and boxes right in training. Use Ultralytics' own arguments"),
    ("RandomGridShuffle", "RandomGridShuffle does not keep"),
    ("Lambda", "Lambda does not keep"),
    ("ToTensorV2", "ToTensorV2 does not keep"),
    ("OneOf", "OneOf is a composition; list its transforms one by one, each with its own p."),
]


@pytest.mark.parametrize(("transform", "message"), WRONG, ids=[str(entry)[:40] for entry, _ in WRONG])
def test_what_is_wrong_is_named(transform: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build("Blur", transform)
    assert str(caught.value).startswith("albumentations.transforms[1]: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 300), st.floats(-2, 2), st.text(max_size=4), st.lists(st.floats(0, 1))
)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(["Blur", "RandomGamma", "GaussNoise", "Affine", "CoarseDropout", "RandomBrightnessContrast"]),
    st.dictionaries(st.sampled_from(["p", "blur_limit", "gamma_limit", "std_range", "rotate", "fill", "x"]), PLAIN),
)
def test_any_arguments_build_or_are_refused(name: str, arguments: dict[str, Any]) -> None:
    try:
        (transform,) = build({name: arguments})
    except ConfigError as error:
        assert "\n" not in str(error)
    else:
        assert 0 <= transform.p <= 1


def coloured_boxes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """An image of 320 x 320 with four boxes in four colours, and the boxes in pixels; one lies at the corner."""
    image = np.full((320, 320, 3), 114, np.uint8)
    boxes = []
    for index, colour in enumerate(COLOURS):
        x = 0 if index == 0 else index % 2 * 160 + int(rng.integers(0, 60))
        y = 0 if index == 0 else index // 2 * 160 + int(rng.integers(0, 60))
        width, height = (int(size) for size in rng.integers(40, 90, 2))
        image[y : y + height, x : x + width] = colour
        boxes.append([x, y, x + width, y + height])
    return image, np.array(boxes, np.float32)


COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]


def extent_of(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray | None:
    there = np.abs(image.astype(int) - np.array(colour)).sum(2) < 120
    if there.sum() < 400:
        return None
    rows, columns = np.where(there)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def overlap(left: np.ndarray, right: np.ndarray) -> float:
    size = np.minimum(left[2:], right[2:]) - np.maximum(left[:2], right[:2])
    shared = float(np.prod(np.clip(size, 0, None)))
    areas = [float(np.prod(box[2:] - box[:2])) for box in (left, right)]
    return shared / (sum(areas) - shared)


@pytest.mark.filterwarnings("ignore:Argument")
@pytest.mark.parametrize("name", sorted(SPATIAL_TRANSFORMS))
def test_boxes_follow_their_objects_as_ultralytics_hands_them_over(name: str) -> None:
    from ultralytics.data.augment import Albumentations
    from ultralytics.utils.instance import Instances

    arguments = {"Affine": {"rotate": [-8, 8], "scale": [0.9, 1.1], "translate_px": [-10, 10]}, "Rotate": {"limit": 8}}
    built = build({name: {"p": 1.0, **arguments.get(name, {})}})
    augment = Albumentations(transforms=[albumentations.to_dict(transform) for transform in built])
    assert augment.transform is not None
    rng = np.random.default_rng(0)
    for _ in range(6):
        image, boxes = coloured_boxes(rng)
        instances = Instances(boxes, np.zeros((0, 1000, 2), np.float32), bbox_format="xyxy", normalized=False)
        labels = augment({"img": image, "cls": np.arange(4.0).reshape(-1, 1), "instances": instances})
        assert labels["img"].shape == image.shape
        moved = labels["instances"]
        moved.convert_bbox("xyxy")
        moved.denormalize(320, 320)
        assert len(moved.bboxes)
        for box, index in zip(moved.bboxes, labels["cls"][:, 0].astype(int), strict=True):
            seen = extent_of(labels["img"], COLOURS[index])
            if seen is not None:
                assert overlap(box, seen) > 0.75
