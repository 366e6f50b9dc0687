"""Positions that a GoPro camera stores in its own video: streams GPS5 and GPS9 of the GPMF telemetry track.

The format is that of github.com/gopro/gpmf-parser: key, type, size, repeat and data, nested by devices and streams.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reg_yolo.errors import DataError
from reg_yolo.inventory.positions.fixes import MAX_DOP, Fixes

FloatArray = NDArray[np.float64]

_FORMATS = {
    b"b": "i1", b"B": "u1", b"s": ">i2", b"S": ">u2", b"l": ">i4", b"L": ">u4", b"j": ">i8", b"J": ">u8",
    b"f": ">f4", b"d": ">f8",
}  # fmt: skip
_EPOCH_2000_S = datetime(2000, 1, 1, tzinfo=UTC).timestamp()


@dataclass(frozen=True)
class _Field:
    """One key of a stream: `repeat` samples of `size` bytes of a type."""

    kind: bytes
    size: int
    repeat: int
    data: bytes

    def numbers(self) -> FloatArray:
        """Samples of a plain type, shape (repeat, values of a sample)."""
        raw = np.frombuffer(self.data, np.dtype(_FORMATS[self.kind]))
        return raw.astype(np.float64).reshape(self.repeat, -1)

    def rows(self, kinds: bytes) -> FloatArray:
        """Samples of a compound type, shape (repeat, len(kinds))."""
        layout = np.dtype([(f"v{k}", _FORMATS[kinds[k : k + 1]]) for k in range(len(kinds))])
        raw = np.frombuffer(self.data, layout)
        return np.stack([raw[name].astype(np.float64) for name in layout.names or ()], axis=1)


@dataclass(frozen=True)
class _Payload:
    """Fixes of one packet, about a second of them; `utc_s` is that of each fix, or NaN."""

    video_s: FloatArray
    utc_s: FloatArray
    longitude_deg: FloatArray
    latitude_deg: FloatArray
    elevation_m: FloatArray
    dop: FloatArray
    fix_type: FloatArray
    exact: bool


def read_gopro(path: Path) -> Fixes:
    """Read the positions inside a GoPro video; packets that are damaged are counted in `dropped`.

    Fixes lie on the video's clock, so that frames of the same video need no other start. Their UTC is that of the
    receiver: of each fix in GPS9, and the median of the packets' times in GPS5, whose clock jumps while it locks on.

    Raises:
        DataError: If the file cannot be read or carries no such positions.
    """
    payloads, damaged = [], 0
    for pts_s, duration_s, packet in _packets(path):
        try:
            payload = _read_packet(packet, pts_s, duration_s)
        except (ValueError, KeyError, struct.error, IndexError):
            damaged += 1
            continue
        if payload is not None:
            payloads.append(payload)
    if not payloads:
        found = f"{damaged} damaged packets of telemetry" if damaged else "no GoPro telemetry with positions"
        raise DataError(
            f"{path}: {found} in it; for other cameras give the output of exiftool -ee -G3 -j -n, or a GPX track"
        )
    video_s = np.concatenate([payload.video_s for payload in payloads])
    utc_s = np.concatenate([payload.utc_s for payload in payloads])
    dop = np.concatenate([payload.dop for payload in payloads])
    fix_type = np.concatenate([payload.fix_type for payload in payloads])
    ahead = (utc_s - video_s)[(fix_type >= 2) & ~(dop > MAX_DOP) & np.isfinite(utc_s)]
    start_s = float(np.median(ahead)) if len(ahead) else float("nan")
    exact = np.concatenate([np.full(len(payload.video_s), payload.exact) for payload in payloads])
    fixes = Fixes.from_columns(
        str(path),
        np.where(exact, utc_s, video_s + start_s).tolist(),
        np.concatenate([payload.longitude_deg for payload in payloads]).tolist(),
        np.concatenate([payload.latitude_deg for payload in payloads]).tolist(),
        elevation_m=np.concatenate([payload.elevation_m for payload in payloads]).tolist(),
        dop=dop.tolist(),
        fix_type=[int(kind) for kind in fix_type],
    )
    if damaged:
        fixes.dropped["damaged packet of telemetry"] = damaged
    return replace(fixes, starts={path.name: start_s} if len(ahead) else {})


def _packets(path: Path) -> Iterator[tuple[float, float, bytes]]:
    """Time and length in seconds, and bytes, of each packet of the telemetry track."""
    import av

    try:
        with av.open(str(path)) as container:
            streams = [stream for stream in container.streams if stream.type == "data"]
            for packet in container.demux(streams) if streams else ():
                content = bytes(packet)
                # FFmpeg names no codec for the track; its packets begin with a device.
                if packet.pts is None or not content.startswith(b"DEVC"):
                    continue
                unit = float(packet.time_base)
                yield packet.pts * unit, (packet.duration or 0) * unit, content
    except (av.FFmpegError, OSError) as error:
        raise DataError(f"{path} cannot be read as a video: {error.strerror or error}") from None


def _fields(data: bytes) -> Iterator[tuple[bytes, _Field]]:
    at = 0
    while at + 8 <= len(data):
        key, kind, size, repeat = struct.unpack(">4scBH", data[at : at + 8])
        length = size * repeat
        if at + 8 + length > len(data):
            raise ValueError(f"{key!r} is cut")
        if key != b"\0\0\0\0":
            yield key, _Field(kind, size, repeat, data[at + 8 : at + 8 + length])
        at += 8 + (length + 3) // 4 * 4


def _read_packet(packet: bytes, pts_s: float, duration_s: float) -> _Payload | None:
    """Fixes of the first stream of positions in a packet; GPS9 has a time, a DOP and a fix type by fix."""
    streams = [
        dict(_fields(stream.data))
        for key, device in _fields(packet)
        if key == b"DEVC"
        for inner, stream in _fields(device.data)
        if inner == b"STRM"
    ]
    for name, read in ((b"GPS9", _gps9), (b"GPS5", _gps5)):
        for stream in streams:
            if name in stream and stream[name].repeat:
                return read(stream, pts_s, duration_s)
    return None


def _gps9(stream: dict[bytes, _Field], pts_s: float, duration_s: float) -> _Payload:
    values = stream[b"GPS9"].rows(stream[b"TYPE"].data.rstrip(b"\0")) / stream[b"SCAL"].numbers().ravel()
    latitude, longitude, elevation, _, _, days, seconds, dop, kind = values.T
    utc_s = np.where(days > 0, _EPOCH_2000_S + days * 86400 + seconds, np.nan)
    return _Payload(_spread(pts_s, duration_s, len(values)), utc_s, longitude, latitude, elevation, dop, kind, True)


def _gps5(stream: dict[bytes, _Field], pts_s: float, duration_s: float) -> _Payload:
    values = stream[b"GPS5"].numbers() / stream[b"SCAL"].numbers().ravel()
    latitude, longitude, elevation, _, _ = values.T
    count = len(values)
    kind = float(stream[b"GPSF"].numbers()[0, 0]) if b"GPSF" in stream else -1.0
    dop = float(stream[b"GPSP"].numbers()[0, 0]) / 100 if b"GPSP" in stream else float("nan")
    video_s = _spread(pts_s, duration_s, count)
    utc_s = _moment(stream[b"GPSU"].data) + (video_s - pts_s) if b"GPSU" in stream else np.full(count, np.nan)
    return _Payload(video_s, utc_s, longitude, latitude, elevation, np.full(count, dop), np.full(count, kind), False)


def _spread(pts_s: float, duration_s: float, count: int) -> FloatArray:
    return pts_s + duration_s * np.arange(count) / count


def _moment(stamp: bytes) -> float:
    """POSIX seconds of yymmddhhmmss.sss."""
    return datetime.strptime(stamp.decode("ascii"), "%y%m%d%H%M%S.%f").replace(tzinfo=UTC).timestamp()
