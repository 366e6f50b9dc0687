"""H.264 clips whose frames tell their number, whole and damaged."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

SIZE = (160, 96)
FPS = 25


def numbered(index: int) -> np.ndarray:
    """Return an image with texture, whose brightness on the left tells `index` modulo 20."""
    picture = np.random.default_rng(index).integers(0, 255, (SIZE[1] // 8, SIZE[0] // 8, 3), dtype=np.uint8)
    picture = picture.repeat(8, 0).repeat(8, 1)
    picture[:, :40] = 20 + 10 * (index % 20)
    return picture


def number_of(picture: np.ndarray) -> int:
    """Return the number that a decoded image tells."""
    return round((float(picture[8:-8, 8:32].mean()) - 20) / 10)


def write_clip(
    path: Path,
    frames: int = 60,
    *,
    key_every: int = 10,
    times: Sequence[float] | None = None,
    fast_start: bool = False,
    first: int = 0,
    reordered: int = 2,
    size: tuple[int, int] = SIZE,
    start_s: float = 0.0,
    sound_s: float = 0.0,
) -> Path:
    """Write an H.264 clip, at a constant rate or at the given times.

    Args:
        path: Its suffix tells the container.
        frames: How many.
        key_every: Frames from one key frame to the next.
        times: In seconds.
        fast_start: Put the index of an mp4 in front.
        first: Number that the first frame tells.
        reordered: Frames between two others that are stored behind both.
        size: Width and height.
        start_s: Time of the first frame, for a constant rate.
        sound_s: Length of a sound track from time 0; none for 0.
    """
    unit = Fraction(1, 1000) if times is not None else Fraction(1, FPS)
    options = {"movflags": "+faststart"} if fast_start else {}
    with av.open(str(path), "w", options=options) as container:
        # An AVI has no place for the times of frames that are shown in another order than they are decoded.
        ahead = "0" if path.suffix == ".avi" else str(reordered)
        x264 = {"preset": "veryfast", "bf": ahead, "sc_threshold": "0", "threads": "1"}
        stream = container.add_stream("libx264", rate=FPS, options=x264)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = key_every
        stream.codec_context.time_base = unit
        if sound_s:
            codec = "aac" if path.suffix == ".flv" else "mp2"
            write_sound(container, container.add_stream(codec, rate=48_000), sound_s)
        for index in range(frames):
            picture = cv2.resize(numbered(first + index), size, interpolation=cv2.INTER_NEAREST)
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts = round((times[index] if times is not None else start_s + index / FPS) / unit)
            frame.time_base = unit
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_sound(container: av.container.OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    """Write silence of that length, from time 0."""
    for number in range(round(seconds * 48_000 / 1152)):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 1152), np.int16), format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, number * 1152, Fraction(1, 48_000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def packet_places(path: Path) -> list[tuple[int, int, bool]]:
    """Return where each packet lies: offset, bytes, whether it is a key frame."""
    with av.open(str(path)) as container:
        return [
            (packet.pos, packet.size, packet.is_keyframe)
            for packet in container.demux(video=0)
            if packet.size and packet.pos is not None
        ]


def spoil(path: Path, first: int, count: int, seed: int = 0) -> Path:
    """Fill the payload of `count` packets from number `first` with noise, and return the path."""
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    for offset, size, _ in packet_places(path)[first : first + count]:
        # The length in front of a unit stays, so that the decoder sees that it is broken.
        content[offset + 5 : offset + size] = rng.integers(0, 256, size - 5, dtype=np.uint8).tobytes()
    path.write_bytes(content)
    return path
