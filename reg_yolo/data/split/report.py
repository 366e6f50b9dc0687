"""What a split came to: groups, images and objects in every part, and what could not be had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reg_yolo.data.split.assignment import Counts
from reg_yolo.text_tables import text_table


@dataclass(frozen=True)
class SplitRow:
    """One line of the table.

    Attributes:
        name: A class, or `images`.
        groups: Groups that hold any of it.
        counts: By split, how many there are.
    """

    name: str
    groups: int
    counts: dict[str, int]

    @property
    def total(self) -> int:
        """How many there are in all splits."""
        return sum(self.counts.values())

    def share(self, split: str) -> float:
        """Part of all that is in a split, 0 to 1."""
        return self.counts[split] / self.total if self.total else 0.0


@dataclass(frozen=True)
class SplitTable:
    """Groups, images and objects by split.

    Attributes:
        shares: By split, the share that was asked for.
        groups: By split, its number of groups.
        images: The images.
        classes: The objects of each class, in the order of the class indices.
        largest_group: Images in the largest group.
    """

    shares: dict[str, float]
    groups: dict[str, int]
    images: SplitRow
    classes: list[SplitRow]
    largest_group: int

    @classmethod
    def count(
        cls, class_names: Sequence[str], shares: Mapping[str, float], counts: Counts, assignment: Sequence[int]
    ) -> SplitTable:
        """Count what an assignment came to.

        Args:
            class_names: Names of the classes.
            shares: By split, the wanted share.
            counts: `[G, C + 1]` objects of each class and, last, images in each group.
            assignment: For each group the index of its split.
        """
        chosen = np.asarray(assignment)
        rows = [
            SplitRow(
                name,
                int((counts[:, column] > 0).sum()),
                {split: int(counts[chosen == number, column].sum()) for number, split in enumerate(shares)},
            )
            for column, name in enumerate([*class_names, "images"])
        ]
        groups = {split: int((chosen == number).sum()) for number, split in enumerate(shares)}
        return cls(dict(shares), groups, rows[-1], rows[:-1], int(counts[:, -1].max()))

    def as_text(self) -> str:
        """Return the table as text, for example for a terminal."""
        splits = list(self.shares)
        head = ["", "groups", "total"]
        for split in splits:
            head += [split, f"{self.shares[split]:.0%}"]
        body = [["groups", "", str(sum(self.groups.values()))]]
        for split in splits:
            body[0] += [str(self.groups[split]), ""]
        for row in (self.images, *self.classes):
            line = [row.name, str(row.groups), str(row.total)]
            for split in splits:
                line += [str(row.counts[split]), f"{row.share(split):.1%}" if row.total else "-"]
            body.append(line)
        return text_table(head, body)

    def notes(self) -> list[str]:
        """Return a sentence for each class that is not in every split, and for images that are far from the share."""
        notes = []
        for row in self.classes:
            lacking = [split for split, count in row.counts.items() if count == 0]
            if not row.total:
                notes.append(f"no image has a {row.name}")
            elif lacking and row.groups < len(self.shares):
                only = "one group" if row.groups == 1 else f"{row.groups} groups"
                notes.append(f"{row.name} is in {only} only, so {' and '.join(lacking)} cannot have it")
            elif lacking:
                notes.append(f"{row.name} is not in {' and '.join(lacking)}: its groups are needed for other classes")
        for split, wanted in self.shares.items():
            reached = self.images.share(split)
            if split != "train" and not 0.5 * wanted <= reached <= 1.5 * wanted:
                notes.append(
                    f"{split} has {reached:.1%} of the images instead of {wanted:.0%}: the groups are too large for "
                    f"more (the largest has {self.largest_group} of {self.images.total} images)"
                )
        return notes
