"""Focal length, principal point and lens distortion from images of a chessboard (OpenCV)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reg_yolo.errors import ConfigError, DataError
from reg_yolo.inventory.calibration.result import Calibration

FloatArray = NDArray[np.float64]

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"})
FEWEST_IMAGES = 5
# Square pixels; a third radial term needs more images than people take, and goes wild without them.
_MODEL = cv2.CALIB_FIX_ASPECT_RATIO | cv2.CALIB_USE_INTRINSIC_GUESS | cv2.CALIB_FIX_K3
# Where corners reach less of the image, distortion towards its edges is a guess.
_COVERED_SHARE = 0.5
_GOOD_RMS_PX = 1.0
_LEAST_FOCAL_SIGMA = 0.0005


@dataclass(frozen=True)
class Board:
    """A chessboard.

    Attributes:
        columns, rows: Inner corners, where four squares meet.
        square_mm: Side of a square; focal length does not depend on it.
    """

    columns: int
    rows: int
    square_mm: float = 25.0

    @classmethod
    def parse(cls, text: str) -> Board:
        """Read `COLUMNSxROWS`.

        Raises:
            ConfigError: If it is not two whole numbers of 3 or more, or both are the same.
        """
        parts = text.lower().split("x")
        if len(parts) != 2 or not all(part.isdigit() and int(part) >= 3 for part in parts):
            raise ConfigError(f"--board: expected inner corners such as 9x6, 3 or more each way, got {text!r}")
        columns, rows = map(int, parts)
        if columns == rows:
            raise ConfigError(f"--board: {text} looks the same after a quarter turn; take one with unequal sides")
        return cls(columns, rows)

    def points(self) -> FloatArray:
        """Return the corners on the board in millimetres, shape (N, 3)."""
        grid = np.mgrid[0 : self.columns, 0 : self.rows].T.reshape(-1, 2)
        return np.column_stack([grid, np.zeros(len(grid))]).astype(np.float64) * self.square_mm


def image_files(paths: Sequence[Path]) -> list[Path]:
    """Return the images among files and in folders, in the order of their names.

    Raises:
        DataError: If there is none.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
        elif path.suffix.lower() in SUFFIXES:
            found.append(path)
    if not found:
        raise DataError(f"{paths[0]}: no image of a chessboard (*.jpg, *.png, *.tif) is there")
    return found


def calibrate_from_board(images: Sequence[Path], board: Board) -> Calibration:
    """Return what images of a chessboard say of a camera.

    Args:
        images: Taken with the focus and zoom of the drive, the board in every corner of the image and at a slant.
        board: The chessboard.

    Raises:
        DataError: If images differ in size, or fewer than five show the whole board.
    """
    size, shown = (0, 0), []
    corners: list[NDArray[np.float32]] = []
    missing: list[str] = []
    for path in images:
        grey = _grey(path)
        if grey is None:
            missing.append(f"{path.name} (not readable)")
            continue
        own = (grey.shape[1], grey.shape[0])
        if size != (0, 0) and own != size:
            raise DataError(f"{path} has {own[0]}x{own[1]} pixels, those before it {size[0]}x{size[1]}")
        size = own
        found, places = cv2.findChessboardCornersSB(grey, (board.columns, board.rows), flags=cv2.CALIB_CB_ACCURACY)
        if not found:
            missing.append(path.name)
            continue
        shown.append(path)
        corners.append(_refined(grey, np.asarray(places, np.float32).reshape(-1, 1, 2)))
    if len(shown) < FEWEST_IMAGES:
        raise DataError(
            f"{images[0].parent}: {len(shown)} of {len(images)} images show a whole board of "
            f"{board.columns}x{board.rows} inner corners, {FEWEST_IMAGES} or more are needed"
        )
    matrix = np.array([[max(size), 0, size[0] / 2], [0, max(size), size[1] / 2], [0, 0, 1]], np.float64)
    points = [board.points().astype(np.float32)] * len(corners)
    rms, matrix, distortion, _, _, sigmas, *_ = cv2.calibrateCameraExtended(
        points, corners, size, matrix, None, flags=_MODEL
    )
    focal = float(matrix[0, 0])
    sigma = np.asarray(sigmas, np.float64).ravel()
    # OpenCV states the deviation of the one focal length as that of the vertical one, and 0 for the other.
    focal_sigma = float(sigma[:2].max())
    values = {
        "width": size[0],
        "height": size[1],
        "focal_px": round(focal, 3),
        "cx": round(float(matrix[0, 2]), 3),
        "cy": round(float(matrix[1, 2]), 3),
        "distortion": [round(float(value), 6) for value in np.asarray(distortion).ravel()[:5]],
        "focal_sigma": round(max(focal_sigma / focal, _LEAST_FOCAL_SIGMA), 6),
    }
    lines = [
        f"{len(shown)} of {len(images)} images show the board; reprojection {rms:.2f} px",
        f"focal {focal:.1f} +- {focal_sigma:.1f} px, "
        f"centre {matrix[0, 2]:.1f} +- {sigma[2]:.1f}, {matrix[1, 2]:.1f} +- {sigma[3]:.1f} px",
    ]
    if missing:
        lines.append("without a whole board: " + ", ".join(missing))
    covered = _covered(corners, size)
    if covered < _COVERED_SHARE:
        lines.append(
            f"the corners reach {100 * covered:.0f} % of the image: distortion outside is a guess; hold the board "
            "near the edges too"
        )
    if rms > _GOOD_RMS_PX:
        lines.append(f"{rms:.2f} px is much: is the board flat, --board right, and are the images sharp?")
    return Calibration(values, lines)


def _grey(path: Path) -> NDArray[np.uint8] | None:
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if len(data) else None
    return None if image is None else np.asarray(image, np.uint8)


def _refined(grey: NDArray[np.uint8], corners: NDArray[np.float32]) -> NDArray[np.float32]:
    """Corners by the gradients around them: the finder's own are drawn inwards by a distorted lens."""
    steps = np.linalg.norm(np.diff(corners[:, 0], axis=0), axis=1)
    window = int(np.clip(steps.min() / 4, 2, 11))
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-4)
    return np.asarray(cv2.cornerSubPix(grey, corners, (window, window), (-1, -1), stop), np.float32)


def _covered(corners: Sequence[NDArray[np.float32]], size: tuple[int, int]) -> float:
    """Share of the image inside the hull of all corners."""
    hull = cv2.convexHull(np.concatenate(corners).reshape(-1, 1, 2))
    return float(cv2.contourArea(hull)) / (size[0] * size[1])
