"""What a reviewer has decided so far, kept on the disk before anybody is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from reg_yolo.errors import DataError
from reg_yolo.inventory.decisions.decision import UNDO, Decision, NotApplied
from reg_yolo.inventory.decisions.files import DecisionLog, read_decisions
from reg_yolo.inventory.review.catalogue import Catalogue
from reg_yolo.inventory.review.resolving import as_named, resolve


@dataclass(frozen=True)
class Done:
    """A decision in the list of what was done.

    Attributes:
        decision: It.
        asset_ids: The assets that it is about.
        undone: Whether it was taken back.
    """

    decision: Decision
    asset_ids: list[str]
    undone: bool


class Progress:
    """Context manager that holds a decisions file open, and the states of the assets that follow from it.

    Args:
        catalogue: The inventory, open.
        path: The decisions file; made where it is missing.
        who: The reviewer.

    Attributes:
        left: Decisions of the file that fit no asset, and its damaged lines. They stay in the file.

    Raises:
        DataError: If the file cannot be read, or is for another drive.
        OutputError: If it cannot be written, or another process writes it.
    """

    def __init__(self, catalogue: Catalogue, path: Path, who: str) -> None:
        self._catalogue = catalogue
        self._log = DecisionLog(path)
        self.path, self.who = path, who
        self.left: list[NotApplied] = []
        self._decisions: dict[str, Decision] = {}
        self._about: dict[str, list[str]] = {}
        self._undone: set[str] = set()
        self._standing: dict[str, list[str]] = {}

    def __enter__(self) -> Progress:
        # First, so that what is read is what the last one who wrote it has left.
        self._log.__enter__()
        try:
            decisions, torn = read_decisions([self.path])
            about, unfit = resolve(self._catalogue, decisions, [self.path])
            self.left = [*torn, *unfit]
            # In files put together an undo may stand before what it takes back.
            for decision in sorted(decisions, key=lambda one: one.action == UNDO):
                self._note(decision, about.get(decision.decision_id, []))
        except BaseException:
            self._log.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._log.__exit__(kind, error, traceback)

    @property
    def count(self) -> int:
        """How many decisions the file holds, undos included."""
        return len(self._decisions)

    def add(self, record: Mapping[str, Any]) -> Decision:
        """Append a decision of the reviewer's and wait until the disk has it; one that the file has is not repeated.

        Args:
            record: As a decisions file holds it; `who` is the reviewer, whatever it says.

        Raises:
            DataError: If it is no decision, or about no asset of this inventory.
            OutputError: If the disk does not take it.
        """
        try:
            decision = Decision.from_record({**record, "who": self.who})
        except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
            raise DataError(f"not a decision: {error}") from None
        known = self._decisions.get(decision.decision_id)
        if known is not None:
            if known != decision:
                raise DataError(f"the file has another decision with the id {decision.decision_id}")
            return known
        if decision.action == UNDO:
            meant = self._decisions.get(decision.undoes or "")
            if meant is None or meant.who != self.who or meant.action == UNDO:
                raise DataError(f"{decision.undoes} is no decision of {self.who}'s that could be taken back")
            about: list[str] = []
        else:
            about = as_named(self._catalogue, decision) or []
            if not about:
                raise DataError("the decision is about another build of this inventory; load the page again")
        self._log.append(decision)
        self._note(decision, about)
        return decision

    def _note(self, decision: Decision, about: Sequence[str]) -> None:
        self._decisions[decision.decision_id] = decision
        if decision.action == UNDO:
            meant = self._decisions.get(decision.undoes or "")
            if meant is None or meant.who != decision.who or meant.decision_id in self._undone:
                return
            self._undone.add(meant.decision_id)
            changed = self._about.get(meant.decision_id, [])
            for asset_id in changed:
                self._standing[asset_id].remove(meant.decision_id)
        else:
            changed = self._about[decision.decision_id] = list(about)
            for asset_id in changed:
                self._standing.setdefault(asset_id, []).append(decision.decision_id)
        for asset_id in changed:
            standing = self._standing[asset_id]
            self._catalogue.set_state(asset_id, self._decisions[standing[-1]].action if standing else None)

    def history(self, count: int) -> list[Done]:
        """Return the reviewer's last decisions, the latest first; undos are told by what they took back."""
        own = [one for one in self._decisions.values() if one.who == self.who and one.action != UNDO]
        return [
            Done(one, self._about.get(one.decision_id, []), one.decision_id in self._undone)
            for one in reversed(own[-count:])
        ]
