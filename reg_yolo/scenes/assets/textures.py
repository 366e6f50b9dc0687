"""Images for sign faces: borders, lettering, pictograms, advertising."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from reg_yolo.scenes.world.mesh import Colour

Texture = NDArray[np.uint8]

GREEN: Colour = (78.0, 105.0, 12.0)
BLUE: Colour = (165.0, 82.0, 10.0)
WHITE: Colour = (238.0, 240.0, 240.0)

PLACES = (
    "Chiang Mai", "Lampang", "Nakhon Sawan", "Phitsanulok", "Khon Kaen", "Udon Thani", "Saraburi", "Lop Buri",
    "Hat Yai", "Surat Thani", "Chumphon", "Tak", "Mae Sot", "Buri Ram", "Si Racha", "Rayong", "Trat", "Bangkok",
    "Nan", "Phrae", "Loei", "Sukhothai", "Ayutthaya", "Hua Hin", "Krabi", "Phuket", "Ranong", "Yala",
)  # fmt: skip


def canvas(width: int, height: int, colour: Colour) -> Texture:
    """A plain board, `[height, width, 3]`."""
    board = np.empty((height, width, 3), np.uint8)
    board[:] = np.array(colour)
    return board


def thai_like_line(
    board: Texture, x: int, y: int, height: int, letters: int, rng: np.random.Generator, colour: Colour
) -> int:
    """Draw letters that look like Thai from a moving car (loops, stems, marks above); returns the x where they end."""
    thick = max(1, height // 7)
    for _ in range(letters):
        width = int(height * rng.uniform(0.5, 0.75))
        kind = int(rng.integers(5))
        top, bottom = y - height, y
        cv2.circle(
            board,
            (x + height // 6, (top if kind % 2 else bottom) + (1 if kind % 2 else -1) * height // 6),
            height // 7,
            colour,
            thick,
        )
        if kind in (0, 1, 3):
            cv2.line(board, (x + width, top), (x + width, bottom), colour, thick)
        if kind in (1, 2, 4):
            cv2.line(board, (x + height // 6, top), (x + height // 6, bottom), colour, thick)
        if kind in (0, 2, 3):
            cv2.ellipse(
                board, (x + width // 2, top + height // 4), (width // 2, height // 4), 0, 180, 360, colour, thick
            )
        if kind in (1, 4):
            cv2.line(board, (x + height // 6, bottom), (x + width, bottom), colour, thick)
        if rng.random() < 0.35:
            cv2.line(board, (x, top - height // 4), (x + width // 2, top - height // 3), colour, thick)
        x += width + height // 3
    return x


def latin_line(board: Texture, text: str, x: int, y: int, height: int, colour: Colour) -> int:
    """Draw Latin text with its baseline at y; returns the x where it ends."""
    scale = height / 21.0
    thick = max(1, round(height / 8))
    cv2.putText(board, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thick, cv2.LINE_AA)
    return x + int(cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)[0][0])


def rounded_border(board: Texture, colour: Colour, inset: int, thick: int, corner: int) -> None:
    """Draw the line that runs around a sign just inside its edge."""
    height, width = board.shape[:2]
    a, b, c, d = inset, inset, width - 1 - inset, height - 1 - inset
    cv2.line(board, (a + corner, b), (c - corner, b), colour, thick)
    cv2.line(board, (a + corner, d), (c - corner, d), colour, thick)
    cv2.line(board, (a, b + corner), (a, d - corner), colour, thick)
    cv2.line(board, (c, b + corner), (c, d - corner), colour, thick)
    for x, y, turn in ((a, b, 180), (c, b, 270), (c, d, 0), (a, d, 90)):
        centre = (x + (corner if x == a else -corner), y + (corner if y == b else -corner))
        cv2.ellipse(board, centre, (corner, corner), turn, 0, 90, colour, thick)


def arrow(board: Texture, x: int, y: int, size: int, direction: str, colour: Colour) -> None:
    """Draw a straight arrow ("up", "left", "right") around a centre."""
    vector = {"up": (0, -1), "left": (-1, 0), "right": (1, 0), "down": (0, 1)}[direction]
    start = (x - vector[0] * size // 2, y - vector[1] * size // 2)
    end = (x + vector[0] * size // 2, y + vector[1] * size // 2)
    cv2.arrowedLine(board, start, end, colour, max(2, size // 6), cv2.LINE_AA, tipLength=0.45)


def advertising(rng: np.random.Generator, width: int = 96, height: int = 64) -> Texture:
    """A gaudy poster: fields of colour, a disc and some lettering."""
    colours = rng.uniform(30, 250, (4, 3))
    board = canvas(width, height, tuple(colours[0]))
    split = int(rng.uniform(0.3, 0.7) * width)
    board[:, split:] = colours[1]
    cv2.circle(
        board,
        (int(rng.uniform(0.2, 0.8) * width), int(rng.uniform(0.3, 0.7) * height)),
        height // 4,
        tuple(colours[2]),
        -1,
    )
    thai_like_line(board, 6, int(height * 0.45), height // 5, 5, rng, tuple(colours[3]))
    thai_like_line(board, 10, int(height * 0.85), height // 7, 7, rng, WHITE)
    return board
