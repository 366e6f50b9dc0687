"""A small MP4 with a telemetry track such as a GoPro writes, for tests."""

from __future__ import annotations

import struct
from pathlib import Path


def klv(key: str, kind: str, size: int, data: bytes) -> bytes:
    """Return one GPMF field, padded to four bytes."""
    return (
        struct.pack(">4scBH", key.encode(), kind.encode() or b"\0", size, len(data) // size)
        + data
        + bytes(-len(data) % 4)
    )


def nested(key: str, *inner: bytes) -> bytes:
    """Return a GPMF field of fields."""
    return klv(key, "\0", 1, b"".join(inner))


def gps5(rows: list[tuple[float, float]], stamp: str, fix: int = 3, dop: float = 1.5) -> bytes:
    """Return a packet of fixes (longitude, latitude) at 12 m of height."""
    values = b"".join(struct.pack(">5i", round(lat * 1e7), round(lon * 1e7), 12_000, 9_000, 910) for lon, lat in rows)
    stream = nested(
        "STRM",
        klv("GPSF", "L", 4, struct.pack(">I", fix)),
        klv("GPSU", "U", 16, stamp.encode()),
        klv("GPSP", "S", 2, struct.pack(">H", round(dop * 100))),
        klv("SCAL", "l", 4, struct.pack(">5i", 10**7, 10**7, 1000, 1000, 100)),
        klv("GPS5", "l", 20, values),
    )
    other = nested(
        "STRM", klv("SCAL", "s", 2, struct.pack(">h", 418)), klv("ACCL", "s", 6, struct.pack(">3h", 1, 2, 3))
    )
    return nested("DEVC", klv("DVID", "L", 4, struct.pack(">I", 1)), klv("DVNM", "c", 1, b"Hero9 Black"), other, stream)


def gps9(rows: list[tuple[float, float, float, float, int]], days: int) -> bytes:
    """Return a packet of fixes (longitude, latitude, seconds of the day, DOP, fix type)."""
    values = b"".join(
        struct.pack(
            ">7i2H",
            round(lat * 1e7),
            round(lon * 1e7),
            12_000,
            9_000,
            910,
            days,
            round(s * 1000),
            round(dop * 100),
            fix,
        )
        for lon, lat, s, dop, fix in rows
    )
    stream = nested(
        "STRM",
        klv("TYPE", "c", 9, b"lllllllSS"),
        klv("SCAL", "l", 4, struct.pack(">9i", 10**7, 10**7, 1000, 1000, 100, 1, 1000, 100, 1)),
        klv("GPS9", "?", 32, values),
    )
    return nested("DEVC", klv("DVID", "L", 4, struct.pack(">I", 1)), stream)


def box(name: str, *content: bytes) -> bytes:
    """Return an MP4 box."""
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), name.encode()) + body


def write_telemetry(path: Path, packets: list[bytes], step_ms: int = 1000) -> None:
    """Write an MP4 whose only track holds the packets, each of `step_ms`."""
    start = box("ftyp", b"mp41", bytes(4), b"mp41")
    data = box("mdat", *packets)
    count, length = len(packets), len(packets) * step_ms
    matrix = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    table = box(
        "stbl",
        box("stsd", struct.pack(">II", 0, 1), box("gpmd", bytes(6), struct.pack(">HI", 1, 0))),
        box("stts", struct.pack(">IIII", 0, 1, count, step_ms)),
        box("stsc", struct.pack(">IIIII", 0, 1, 1, count, 1)),
        box("stsz", struct.pack(">III", 0, 0, count), *(struct.pack(">I", len(packet)) for packet in packets)),
        box("stco", struct.pack(">III", 0, 1, len(start) + 8)),
    )
    reference = box("dinf", box("dref", struct.pack(">II", 0, 1), box("url ", struct.pack(">I", 1))))
    media = box(
        "mdia",
        box("mdhd", struct.pack(">5IHH", 0, 0, 0, 1000, length, 0x55C4, 0)),
        box("hdlr", struct.pack(">II4s", 0, 0, b"meta"), bytes(12), b"GoPro MET\0"),
        box("minf", box("nmhd", bytes(4)), reference, table),
    )
    track = box("trak", box("tkhd", struct.pack(">6I", 7, 0, 0, 1, 0, length), bytes(16), matrix, bytes(8)), media)
    header = box(
        "mvhd",
        struct.pack(">5I", 0, 0, 0, 1000, length),
        struct.pack(">IH", 1 << 16, 256),
        bytes(10),
        matrix,
        bytes(24),
        struct.pack(">I", 2),
    )
    path.write_bytes(start + data + box("moov", header, track))
