"""What covers which pixels, and what hides what."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from zbuffer import reference_numbers

from reg_yolo.scenes.labelling.labels import LabelRule, visible_boxes
from reg_yolo.scenes.places import placing
from reg_yolo.scenes.places.scattering import overlaps, scatter_scenery, scatter_traffic
from reg_yolo.scenes.places.setting import RIGHT, Setting, random_setting
from reg_yolo.scenes.rendering.camera import Camera, Pose
from reg_yolo.scenes.rendering.lighting import Lighting
from reg_yolo.scenes.rendering.painting import number_of_pixels
from reg_yolo.scenes.rendering.projection import View, in_reach
from reg_yolo.scenes.rendering.sky import background
from reg_yolo.scenes.stills.composing import Rendering, render
from reg_yolo.scenes.world.catalogue import NO_CLASS, SINGLE_ARM_POLE, WARNING_SIGN
from reg_yolo.scenes.world.cross_section import FIRST_MATERIAL
from reg_yolo.scenes.world.ground import ground_faces
from reg_yolo.scenes.world.mesh import MeshBuilder, Model
from reg_yolo.scenes.world.objects import PlacedObject, place

CAMERA = Camera(640, 384, 500.0, 320.0, 192.0)
EVERYTHING = LabelRule(0, 0, 1, 0.0, 0.0, 0, 0.0, 0.0, 0.0, -1.0)


def board(width: float, height: float) -> Model:
    mesh = MeshBuilder()
    w = width / 2
    mesh.quad([(-w, 0, 0), (w, 0, 0), (w, 0, height), (-w, 0, height)], (30.0, 30.0, 200.0))
    return mesh.build()


def view_at(s: float, t: float = 0.0, height: float = 1.5, direction: int = 1) -> View:
    return View(CAMERA, Pose(t, s, height, 0.0 if direction > 0 else 180.0), s, direction, 300.0)


def look(setting: Setting, view: View, light: Lighting, objects: list[PlacedObject]) -> Rendering:
    backdrop = background(view.camera, view.pose, light, 1, (90.0, 120.0, 90.0), "field")
    return render(setting, view, light, objects, backdrop, EVERYTHING)


def test_a_board_of_known_size_covers_known_pixels(flat_setting: Setting, plain_day: Lighting) -> None:
    """4 m x 2 m, 40 m ahead, 1 m right of the axis, foot 1.5 m above the ground: 50 x 25 px from (307.5, 167)."""
    sign = place(
        board(4, 2),
        flat_setting.road,
        flat_setting.section,
        140.0,
        1.0,
        lift_m=1.5,
        on_ground=False,
        class_id=WARNING_SIGN,
    )
    rendering = look(flat_setting, view_at(100.0), plain_day, [sign])
    (box, pixels), *_ = visible_boxes(rendering.numbers, 1)
    assert box == pytest.approx((307.5, 167.0, 357.5, 192.0), abs=1.0)
    assert pixels == pytest.approx(50 * 25, rel=0.05)
    assert rendering.labels[0].box == box
    assert rendering.labels[0].visible_share == pytest.approx(1.0, abs=0.06)


def test_left_hand_and_right_hand_traffic_mirror_the_roadside(flat_setting: Setting, rng: np.random.Generator) -> None:
    mirrored = Setting(**{**flat_setting.__dict__, "traffic": RIGHT})
    for setting, sign in ((flat_setting, -1), (mirrored, 1)):
        for class_id in (0, 3, 4):
            placed = placing.place_asset(setting, rng, class_id, 100.0, 1, "a")[0]
            assert np.sign(placed.t) == sign
        pole = placing.place_asset(setting, rng, SINGLE_ARM_POLE, 100.0, 1, "a")[0]
        reach = pole.model.vertices[:, 0] - pole.t
        assert abs(reach[np.abs(reach).argmax()] + 2.3 * sign) < 0.5, "the arm reaches over the road"


def test_what_stands_nearer_hides_what_stands_behind(flat_setting: Setting, plain_day: Lighting) -> None:
    road, section = flat_setting.road, flat_setting.section
    far = place(board(6, 3), road, section, 160.0, 0.0, on_ground=False, class_id=WARNING_SIGN, asset_id="far")
    # Half as far away and half as wide: it hides the left half of the far board.
    near = place(board(1.5, 1.5), road, section, 130.0, -0.75, on_ground=False, lift_m=0.75)
    alone = look(flat_setting, view_at(100.0), plain_day, [far]).labels[0]
    hidden = look(flat_setting, view_at(100.0), plain_day, [near, far]).labels[0]
    assert alone.box[0] == pytest.approx(320 - 25, abs=1)
    assert hidden.box[0] == pytest.approx(320, abs=1)
    assert hidden.box[2] == alone.box[2]
    assert hidden.visible_share == pytest.approx(0.5, abs=0.04)


def test_a_crest_hides_what_stands_behind_it(flat_setting: Setting, plain_day: Lighting) -> None:
    up = np.clip((flat_setting.road.chainage - 120) * 0.06, 0, 3.6)
    down = np.clip((flat_setting.road.chainage - 180) * 0.09, 0, 12)
    road = type(flat_setting.road)(
        flat_setting.road.chainage, flat_setting.road.x, flat_setting.road.y, up - down, flat_setting.road.heading
    )
    hill = Setting(**{**flat_setting.__dict__, "road": road})
    behind = place(board(4, 2), road, hill.section, 290.0, 0.0, class_id=WARNING_SIGN)
    assert look(
        flat_setting,
        view_at(100.0),
        plain_day,
        [place(board(4, 2), flat_setting.road, hill.section, 290.0, 0.0, class_id=WARNING_SIGN)],
    ).labels
    assert not look(hill, view_at(100.0), plain_day, [behind]).labels


def test_a_sign_is_named_from_its_front_only(
    flat_setting: Setting, plain_day: Lighting, rng: np.random.Generator
) -> None:
    sign = placing.place_asset(flat_setting, rng, WARNING_SIGN, 130.0, 1, "a")[0]
    backdrop = background(CAMERA, Pose(0, 0, 1.5, 0), plain_day, 1, (90.0, 120.0, 90.0), "field")
    rule = LabelRule(contrast=0.0)
    towards = render(flat_setting, view_at(112.0), plain_day, [sign], backdrop, rule)
    away = render(flat_setting, view_at(148.0, direction=-1), plain_day, [sign], backdrop, rule)
    assert [label.class_id for label in towards.labels] == [WARNING_SIGN]
    assert away.labels == []
    assert (away.numbers == 1).sum() > 50, "the back is in the image all the same"


def test_small_hidden_and_faint_things_have_no_label(flat_setting: Setting, plain_day: Lighting) -> None:
    road, section = flat_setting.road, flat_setting.section
    backdrop = background(CAMERA, Pose(0, 0, 1.5, 0), plain_day, 1, (90.0, 120.0, 90.0), "field")

    def labels(width: float, distance: float, rule: LabelRule, cover: float = 0.0) -> int:
        objects = [
            place(board(width, width), road, section, 100 + distance, 0.0, class_id=0, on_ground=False, lift_m=0.5)
        ]
        if cover:
            objects.append(place(board(cover, 9), road, section, 99 + distance, (cover - width) / 2, on_ground=False))
        return len(render(flat_setting, view_at(100.0), plain_day, objects, backdrop, rule).labels)

    rule = LabelRule()
    assert labels(2.0, 40.0, rule) == 1
    assert labels(2.0, 500 * 2.0 / (rule.long_side_px - 2), rule) == 0
    # 20 m away it is 50 px wide: of 65 % and of 80 % cover there remain 17 px and 10 px, enough but for the share.
    assert labels(2.0, 20.0, rule, cover=1.3) == 1
    assert labels(2.0, 20.0, rule, cover=1.6) == 0
    assert labels(2.0, 40.0, LabelRule(contrast=250.0)) == 0


def random_world(setting: Setting, rng: np.random.Generator, s: float, direction: int) -> list[PlacedObject]:
    """Scenery, traffic and up to fourteen assets within 200 m that do not stand in each other."""
    low, high = (s, s + 200) if direction > 0 else (s - 200, s)
    scenery = scatter_scenery(setting, rng, low, high) + scatter_traffic(setting, rng, s, direction, 150.0, 0)
    assets: list[PlacedObject] = []
    for k in range(14):
        at = s + direction * float(rng.uniform(15, 90))
        group = placing.place_asset(setting, rng, k % 7, at, direction, str(k))
        if not any(overlaps(a, b, 1.0) for a in group for b in assets):
            assets += group
    return [o for o in scenery if not any(overlaps(o, a, 0.5, 0.3) for a in assets)] + assets


def test_the_painters_order_agrees_with_a_depth_buffer(plain_day: Lighting) -> None:
    """The whole world, assets and scenery, against a renderer that keeps a depth for every pixel."""
    judged_pixels = wrong_pixels = 0
    for seed, direction in ((1, 1), (3, -1)):
        rng = np.random.default_rng(seed)
        setting = random_setting(rng, 700.0, -1)
        s = 300.0
        objects = random_world(setting, rng, s, direction)
        camera = Camera(320, 192, 260.0, 160.0, 96.0)
        x, y, z = setting.road.to_world(s, setting.outer(direction) * setting.section.lane_centre(0), 1.7)
        heading = float(np.degrees(setting.road.heading_at(s))) + (0.0 if direction > 0 else 180.0)
        view = View(camera, Pose(float(x), float(y), float(z), heading), s, direction, 300.0)
        rendering = look(setting, view, plain_day, objects)
        numbers, count = [], 0
        for placed in rendering.objects:
            count += placed.class_id != NO_CLASS
            numbers.append(count if placed.class_id != NO_CLASS else 0)
        ground = ground_faces(setting.road, setting.section, s, direction, view.reach_m, setting.seed)
        reference = reference_numbers(rendering.objects, numbers, ground, view)
        assets = ((rendering.numbers > 0) & (rendering.numbers < 200)) | ((reference > 0) & (reference < 200))
        judged_pixels += int(assets.sum())
        # Borders may differ by half a sample, and rails thinner than a sample are drawn one sample thick; a wrong
        # order makes patches. Foundations that reach into sloping ground are painted over it: not counted.
        wrong = (assets & (rendering.numbers != reference) & (reference < FIRST_MATERIAL)).astype(np.uint8)
        wrong_pixels += int(cv2.morphologyEx(wrong, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)).sum())
    assert judged_pixels > 4000
    assert wrong_pixels < 0.005 * judged_pixels


def test_what_stands_on_a_line_hides_it(flat_setting: Setting, plain_day: Lighting) -> None:
    """Lines are long and begin before the object: they must be painted before it all the same."""
    edge = flat_setting.section.carriageway_edge - 0.15
    for s in (111.0, 113.0, 118.5):
        post = place(board(1.0, 1.0), flat_setting.road, flat_setting.section, s, edge, class_id=WARNING_SIGN)
        rendering = look(flat_setting, view_at(100.0, edge), plain_day, [post])
        x0, y0, x1, y1 = rendering.labels[0].box
        assert (rendering.numbers[y0 : y1 - 1, x0:x1] == 1).mean() > 0.99


def test_windows_lie_over_their_wall_from_every_angle(flat_setting: Setting, plain_day: Lighting) -> None:
    """A higher layer is painted later even where its middle is farther away than its wall's."""
    mesh = MeshBuilder()
    mesh.box((0, 0), (20, 4), 0.0, 5.0, (200.0, 200.0, 200.0))
    mesh.layer = 1
    mesh.quad([(7, -2.02, 1), (9, -2.02, 1), (9, -2.02, 4), (7, -2.02, 4)], (0.0, 0.0, 200.0))
    for t, turn in ((-9.0, 90.0), (9.0, -90.0)):
        house = place(mesh.build(), flat_setting.road, flat_setting.section, 135.0, t, turn_deg=turn, on_ground=False)
        picture = look(flat_setting, view_at(100.0), plain_day, [house]).picture.astype(int)
        red = picture[:, :, 2] > picture[:, :, 1] + 60
        assert red.sum() > 100


def test_in_reach_keeps_what_is_ahead(flat_setting: Setting) -> None:
    at = [place(board(1, 1), flat_setting.road, flat_setting.section, s, 0.0) for s in (90.0, 120.0, 390.0, 410.0)]
    assert in_reach(at, view_at(100.0)) == [1, 2]
    assert in_reach(at, view_at(400.0, direction=-1)) == [1, 2]


def test_a_pixel_shows_the_number_of_most_of_its_samples() -> None:
    samples = np.zeros((2, 6, 4), np.uint8)
    samples[:, :, 3] = [[1, 2, 1, 1, 5, 6], [2, 2, 3, 4, 7, 7]]
    assert number_of_pixels(samples).tolist() == [[2, 1, 7]]
