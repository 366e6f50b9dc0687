"""`survey.json`: which steps of a survey are done, and on what they were done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from reg_yolo.errors import DataError
from reg_yolo.files import replace_text

SCHEMA = "reg_yolo.survey/1"
STATE_FILE = "survey.json"

Step = Literal["preflight", "predict", "build", "package"]
STEPS: tuple[Step, ...] = get_args(Step)


@dataclass
class SurveyState:
    """The steps of one survey; saved after each, so that a kill loses none that was done.

    Attributes:
        path: The file.
        steps: Record of each step that has ended: `state` (`done` or `partly`), `digest` of what it was done on,
            `finished`, and what it has to say.
    """

    path: Path
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> SurveyState:
        """Read the state of a folder; empty where there is none yet.

        Raises:
            DataError: If the file is damaged, or of another schema.
        """
        path = folder / STATE_FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls(path)
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read: {error}; remove it, finished predictions stay") from None
        steps = content.get("steps") if isinstance(content, dict) else None
        if not isinstance(steps, dict) or content.get("schema") != SCHEMA:
            raise DataError(f"{path}: expected the schema {SCHEMA}; remove it, finished predictions stay")
        return cls(path, {name: dict(steps[name]) for name in STEPS if isinstance(steps.get(name), dict)})

    def is_done(self, step: Step, digest: str, outputs: Sequence[Path] = ()) -> bool:
        """Whether a step was done on just this, and what it wrote is there."""
        record = self.steps.get(step, {})
        return record.get("state") == "done" and record.get("digest") == digest and all(one.exists() for one in outputs)

    def end(self, step: Step, digest: str, *, partly: bool = False, **facts: Any) -> None:
        """Note that a step has ended."""
        self.steps[step] = {
            "state": "partly" if partly else "done",
            "digest": digest,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            **facts,
        }
        self._save()

    def forget_from(self, step: Step) -> None:
        """Forget a step and all that follow it."""
        for name in STEPS[STEPS.index(step) :]:
            self.steps.pop(name, None)
        self._save()

    def _save(self) -> None:
        content = {"schema": SCHEMA, "steps": self.steps}
        replace_text(self.path, json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n")


def digest_of(*parts: object) -> str:
    """Return a digest of plain data and of files: a path counts by its name, size and time of change.

    Example:
        >>> digest_of("a", 1) == digest_of("a", 1) != digest_of("a", 2)
        True
    """
    text = json.dumps([_plain(part) for part in parts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", errors="backslashreplace")).hexdigest()[:24]


def _plain(part: object) -> object:
    if isinstance(part, Path):
        try:
            status = part.stat()
        except OSError:
            return [part.name, None]
        return [part.name, status.st_size, status.st_mtime_ns]
    if isinstance(part, dict):
        return {str(key): _plain(value) for key, value in part.items()}
    if isinstance(part, (list, tuple)):
        return [_plain(value) for value in part]
    return part
