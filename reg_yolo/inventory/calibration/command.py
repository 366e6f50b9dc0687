"""Everything that `inventory calibrate` does: from a chessboard or from drives to camera.yaml."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from reg_yolo.errors import ConfigError
from reg_yolo.inventory.calibration.board import Board, calibrate_from_board, image_files
from reg_yolo.inventory.calibration.drives import calibrate_from_drives
from reg_yolo.inventory.calibration.result import Calibration, write_camera
from reg_yolo.inventory.camera import Camera, read_camera
from reg_yolo.inventory.opening import BuildOptions

# What a chessboard cannot determine.
_MOUNT = ("height_m", "pitch_deg", "roll_deg", "yaw_deg", "lever_arm_m", "readout_s")


def calibrate_into(
    out: Path, options: BuildOptions, board: str | None = None, say: Callable[[str], None] = lambda _line: None
) -> Calibration:
    """Calibrate a camera and write camera.yaml.

    Args:
        out: The file, replaced where it exists.
        options: Images of a chessboard as `detections`, or detections with their positions; one camera at most.
        board: Inner corners, `COLUMNSxROWS`; None for drives.
        say: Called with each line that the user should read.

    Raises:
        ConfigError: If options do not fit each other.
        DataError: If images or drives do not determine the camera.
    """
    if len(options.cameras) > 1:
        raise ConfigError(f"--camera: got {len(options.cameras)}; calibrate one camera at a time")
    if board is not None:
        if options.gnss:
            raise ConfigError(
                "--board is for images of a chessboard, --gnss for detections of a drive; give one of them"
            )
        result = calibrate_from_board(image_files(options.detections), Board.parse(board))
        if options.cameras:
            result = replace(result, values=result.values | _mount(options.cameras[0], result.values))
    elif options.gnss:
        result = calibrate_from_drives(options, say)
    else:
        raise ConfigError("give --board COLUMNSxROWS with images of a chessboard, or --gnss with detections of a drive")
    for line in result.lines:
        say(line)
    write_camera(out, result.values)
    say(f"Camera: {out}")
    return result


def _mount(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    camera = read_camera(path)
    if (camera.width, camera.height) != (values["width"], values["height"]):
        raise ConfigError(
            f"{path} is for frames of {camera.width}x{camera.height}, but the images of the chessboard are "
            f"{values['width']}x{values['height']}"
        )
    stated = {key: getattr(camera, key) for key in _MOUNT if getattr(camera, key) != getattr(Camera, key)}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in stated.items()}
