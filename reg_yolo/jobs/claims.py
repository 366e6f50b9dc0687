"""Claims: which of several processes, also on several machines, works on a source, in files beside the results.

A claim is a file made with exclusive creation, which its holder touches again and again (the heartbeat); no locking by
the operating system is relied on, since network file systems do without. The protocol is `filelock.SoftFileLease`'s: a
claim is taken over at once when its holder is a dead process of this machine, and otherwise when its heartbeat has been
missing for `LEASE_S`, watched on the own clock, so that clocks of two machines need not agree.

A lease is not a guarantee: a process that was suspended for longer may wake up. It therefore works in a folder of its
own, and asks `Claim.lost` before it publishes anything.
"""

import hashlib
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from filelock import LeaseSettingsMismatch, SoftFileLease, Timeout

from reg_yolo.errors import MediaError

LEASE_S = 60.0
MANIFEST_LOCK = "manifest"
_MANIFEST_WAIT_S = 300.0


class Claim:
    """Context manager of a source that this process alone works on.

    Attributes:
        folder: Empty, this claim's own, removed with everything in it when the block is left.
    """

    def __init__(self, lease: SoftFileLease, folder: Path) -> None:
        self.folder = folder
        self._lease = lease

    @property
    def lost(self) -> bool:
        """Whether another process may have taken the source over, since the heartbeat stopped for too long."""
        return self._lease.compromise is not None or not self._lease.is_lock_held_by_us

    def __enter__(self) -> "Claim":
        try:
            # What an earlier holder left, which was killed.
            for left in self.folder.parent.glob(f"{self.folder.name.partition('.')[0]}.*.work"):
                shutil.rmtree(left, ignore_errors=True)
            self.folder.mkdir(parents=True)
        except BaseException:
            self._lease.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lease.release()


class Claims:
    """The claims on the sources of one results folder.

    Args:
        folder: Where the claims' files lie, the same for every process; it is made.
        lease_s: Seconds without a heartbeat after which a claim is taken over, the same for every process.

    Raises:
        MediaError: If the folder cannot be made.
    """

    def __init__(self, folder: Path, lease_s: float = LEASE_S) -> None:
        self.folder = folder
        self.lease_s = lease_s
        # A lease remembers since when it has seen no heartbeat, so that one object must do the asking.
        self._asking: dict[str, SoftFileLease] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MediaError(f"{folder} cannot be made: {error.strerror}.") from None

    def take(self, source: str) -> Claim | None:
        """Return the claim on a source, or None while another process holds it.

        Raises:
            MediaError: If the claim's file cannot be written.
        """
        name = _file_name(source)
        lease = self._asking.pop(source, None) or self._lease(name)
        try:
            with _named_errors(self.folder):
                lease.acquire(blocking=False)
        except Timeout:
            self._asking[source] = lease
            return None
        return Claim(lease, self.folder / f"{name}.{uuid.uuid4().hex[:8]}.work")

    def discard_leftovers(self) -> None:
        """Remove the folders of killed holders whose sources nobody takes any more: done by then, or left out.

        Raises:
            MediaError: If a claim's file cannot be written.
        """
        for left in self.folder.glob("*.work"):
            lease = self._lease(left.name.partition(".")[0])
            try:
                with _named_errors(self.folder):
                    lease.acquire(blocking=False)
            except Timeout:
                continue
            shutil.rmtree(left, ignore_errors=True)
            lease.release()

    @contextmanager
    def manifest(self) -> Iterator[None]:
        """Hold the lock under which the manifest is written, for the moment that this takes.

        Raises:
            MediaError: If it cannot be had for minutes.
        """
        lease = self._lease(MANIFEST_LOCK)
        try:
            with _named_errors(self.folder):
                lease.acquire(timeout=max(_MANIFEST_WAIT_S, 3 * self.lease_s))
        except Timeout:
            raise MediaError(
                f"{lease.lock_file} has been held by another process for minutes; remove it if none is running."
            ) from None
        try:
            yield
        finally:
            lease.release()

    def _lease(self, name: str) -> SoftFileLease:
        return SoftFileLease(
            self.folder / f"{name}.lock", lease_duration=self.lease_s, thread_local=False, poll_interval=0.01
        )


@contextmanager
def _named_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except LeaseSettingsMismatch as error:
        raise MediaError(f"{folder} is in use by a version of reg_yolo with another time limit: {error}") from None
    except Timeout:
        raise
    except OSError as error:
        raise MediaError(f"{folder} cannot be written: {error.strerror}.") from None


def _file_name(source: str) -> str:
    """Return a short file name of a source, whatever characters and folders its own name has."""
    return hashlib.sha256(source.encode("utf-8", errors="surrogateescape")).hexdigest()[:24]
