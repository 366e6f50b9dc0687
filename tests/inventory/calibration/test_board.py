"""Cameras from rendered images of a chessboard, for which everything is known."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from reg_yolo.cli.app import main
from reg_yolo.errors import ConfigError, DataError
from reg_yolo.inventory.calibration.board import Board, calibrate_from_board, image_files

SIZE, FOCAL, CENTRE = (480, 320), 410.0, (245.0, 152.0)
DISTORTION = np.array([-0.21, 0.06, 0.001, -0.0015, 0.0])
BOARD = Board(7, 5, 30.0)


def render(path: Path, turn: tuple[float, float, float], place: tuple[float, float, float]) -> None:
    """Write an image of the board, seen from `place` (mm) and turned by `turn` (radians), through a distorted lens."""
    scale = 4
    squares = np.indices((BOARD.rows + 3, BOARD.columns + 3)).sum(axis=0) % 2
    squares[[0, -1]], squares[:, [0, -1]] = 1, 1
    side = round(BOARD.square_mm * scale)
    board = np.kron(squares, np.ones((side, side))).astype(np.uint8) * 205 + 30
    # From pixels of the board's picture to millimetres, with the first inner corner at the origin.
    to_mm = np.array([[1 / scale, 0, -2 * BOARD.square_mm], [0, 1 / scale, -2 * BOARD.square_mm], [0, 0, 1]])
    rotation, _ = cv2.Rodrigues(np.array(turn))
    matrix = np.array([[FOCAL, 0, CENTRE[0]], [0, FOCAL, CENTRE[1]], [0, 0, 1]])
    pose = np.column_stack([rotation[:, 0], rotation[:, 1], place])
    # A larger and finer ideal image, from which the lens takes each of its pixels.
    margin = np.array([[3, 0, 301], [0, 3, 301], [0, 0, 1.0]])
    size = (3 * SIZE[0] + 600, 3 * SIZE[1] + 600)
    ideal = cv2.blur(cv2.warpPerspective(board, margin @ matrix @ pose @ to_mm, size, borderValue=120), (3, 3))
    pixels = np.stack(np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1])), -1).reshape(-1, 1, 2).astype(np.float64)
    plain = cv2.undistortPoints(pixels, matrix, DISTORTION, P=matrix).reshape(SIZE[1], SIZE[0], 2) * 3 + 301
    image = cv2.remap(ideal, plain.astype(np.float32), None, cv2.INTER_LINEAR)
    cv2.imwrite(str(path), image)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine images of the board, one without it and one that is no image."""
    folder = tmp_path_factory.mktemp("board")
    rng = np.random.default_rng(4)
    for number in range(9):
        column, row = number % 3 - 1, number // 3 - 1
        turn = tuple((rng.uniform(-0.7, 0.7, 3) * (1, 1, 0.2)).tolist())
        place = (-90 + 85 * column, -60 + 55 * row, 420.0 + 30 * (number % 2))
        render(folder / f"{number}.png", turn, place)
    cv2.imwrite(str(folder / "empty.png"), np.full((SIZE[1], SIZE[0]), 90, np.uint8))
    (folder / "torn.jpg").write_bytes(b"no image")
    return folder


def test_lens_and_its_deviations_are_found(images: Path) -> None:
    found = calibrate_from_board(image_files([images]), BOARD)
    values = found.values
    assert (values["width"], values["height"]) == SIZE
    assert values["focal_px"] == pytest.approx(FOCAL, rel=0.004)
    assert (values["cx"], values["cy"]) == pytest.approx(CENTRE, abs=2.0)
    # The sign and size of the barrel, at the edge of the image.
    radius = 0.6
    bend = sum(k * radius ** (2 * n + 2) for n, k in enumerate(values["distortion"][:2]))
    assert bend == pytest.approx(sum(k * radius ** (2 * n + 2) for n, k in enumerate(DISTORTION[:2])), abs=0.012)
    assert 0.0005 <= values["focal_sigma"] < 0.004
    assert abs(values["focal_px"] / FOCAL - 1) < 4 * values["focal_sigma"]
    assert found.lines[0].startswith("9 of 11 images show the board")
    assert any("empty.png" in line and "torn.jpg (not readable)" in line for line in found.lines)
    assert not any("is much" in line for line in found.lines)


def test_a_board_in_the_middle_alone_is_said(tmp_path: Path) -> None:
    for number in range(5):
        render(tmp_path / f"{number}.png", (0.3 * number - 0.6, 0.2, 0.0), (-90.0, -60.0, 900.0))
    assert any("the corners reach" in line for line in calibrate_from_board(image_files([tmp_path]), BOARD).lines)


def test_what_cannot_be_calibrated_from_is_refused(images: Path, tmp_path: Path) -> None:
    few = image_files([images])[:4]
    with pytest.raises(DataError, match="4 of 4 images show a whole board of 7x5"):
        calibrate_from_board(few, BOARD)
    other = tmp_path / "other.png"
    cv2.imwrite(str(other), np.zeros((40, 60), np.uint8))
    with pytest.raises(DataError, match="60x40 pixels, those before it 480x320"):
        calibrate_from_board([*few, other], BOARD)
    with pytest.raises(DataError, match="no image of a chessboard"):
        image_files([tmp_path / "nothing"])
    for text, said in (("9", "inner corners such as 9x6"), ("2x6", "3 or more"), ("6x6", "quarter turn")):
        with pytest.raises(ConfigError, match=said):
            Board.parse(text)


def test_command_keeps_the_mount_and_refuses_what_does_not_fit(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> int:
        with pytest.raises(SystemExit) as end:
            main(["inventory", "calibrate", str(images), "--out", str(tmp_path / "new" / "camera.yaml"), *words])
        return int(end.value.code or 0)

    mount = tmp_path / "mount.yaml"
    mount.write_text("{width: 480, height: 320, height_m: 1.9, yaw_deg: 2.5}")
    assert run("--board", "7x5", "--camera", str(mount)) == 0
    written = yaml.safe_load((tmp_path / "new" / "camera.yaml").read_text())
    assert (written["height_m"], written["yaw_deg"], "pitch_deg" in written) == (1.9, 2.5, False)
    assert written["focal_px"] == pytest.approx(FOCAL, rel=0.004)
    mount.write_text("{width: 640, height: 320}")
    assert run("--board", "7x5", "--camera", str(mount)) == 2
    assert "is for frames of 640x320" in capsys.readouterr().err
    assert run("--board", "7x5", "--gnss", "track.gpx") == 2
    assert run() == 2
    assert "give --board COLUMNSxROWS" in capsys.readouterr().err
