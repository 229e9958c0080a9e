"""The number of a mastership (architecture of the lease: README, "How one node at a time commands")."""

from __future__ import annotations

import enum

from apis_rules.ports.types.model import StoredModel


class EpochRelation(enum.Enum):
    """How an epoch stands to the highest one that was seen before."""

    OLDER = "older"
    SAME = "same"
    NEWER = "newer"
    FOREIGN = "foreign"
    """The same number with another term id: the store was lost or went back."""


class Epoch(StoredModel):
    """One term of one Grid Master. Numbers only grow; the random term id tells two terms of one number apart."""

    number: int
    term_id: str

    def relation_to(self, highest: Epoch | None) -> EpochRelation:
        """Compare with the highest epoch seen so far, None where none was."""
        if highest is None or self.number > highest.number:
            return EpochRelation.NEWER
        if self.number < highest.number:
            return EpochRelation.OLDER
        return EpochRelation.SAME if self.term_id == highest.term_id else EpochRelation.FOREIGN
