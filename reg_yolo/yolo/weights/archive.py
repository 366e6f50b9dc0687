"""The archive that a checkpoint is: its check sums, and what it would unpack to, before anything in it is read.

Torch does not compare the check sums: a bit that flipped on a disk or a share becomes another weight without a word.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from reg_yolo.errors import WeightsError
from reg_yolo.files import is_regular

# Torch stores its tensors as they are. Ten times that leaves room for whoever has packed them.
MOST_UNPACKED = 10
_BLOCK = 1 << 20


def require_whole_archive(path: Path) -> None:
    """Check that a file is a zip archive whose members have the content that their check sums speak of.

    Raises:
        WeightsError: If it is another kind of file, is cut off, has damaged members, or unpacks to more than ten times
            its size.
    """
    if not is_regular(path) or not zipfile.is_zipfile(path):
        raise WeightsError(f"{path}: not a readable checkpoint; it is cut off, empty or another kind of file")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            unpacked, size = sum(member.file_size for member in members), path.stat().st_size
            if unpacked > MOST_UNPACKED * size:
                raise WeightsError(
                    f"{path}: {size / 1e6:.1f} MB that unpack to {unpacked / 1e6:.0f} MB are no checkpoint; refused"
                )
            damaged = [member.filename for member in members if not _is_whole(archive, member)]
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise WeightsError(f"{path}: not a readable checkpoint; its archive is damaged ({error})") from None
    # Torch can be told to leave the check sums out; then none is right.
    if damaged and len(damaged) < len(members):
        raise WeightsError(
            f"{path}: damaged, {len(damaged)} of its {len(members)} parts differ from their check sums "
            f"({damaged[0]}); take another copy"
        )


def _is_whole(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    try:
        with archive.open(member) as stream:
            while stream.read(_BLOCK):
                pass
    except zipfile.BadZipFile as error:
        if "CRC-32" not in str(error):
            raise
        return False
    return True
