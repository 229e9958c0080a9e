"""The names of the errors that the program raises, so that a catalogue can be held against them."""

from __future__ import annotations

from typing import Final

RAISED: Final = frozenset(
    {
        "active_at_start",
        "active_by_itself",
        "amnesia",
        "asked_again",
        "authorization_failed",
        "battery_claim_lost",
        "battery_claimed",
        "bus_not_dead",
        "changed_by_itself",
        "clock_set",
        "compensation_failed",
        "deserted",
        "disk",
        "dismissed",
        "engine_differs",
        "file_mended",
        "file_not_written",
        "file_refused",
        "foreign_epoch",
        "found_holding",
        "grid_already_live",
        "hand_over_failed",
        "masked_bus",
        "mode_unknown",
        "not_confirmed",
        "not_persisted",
        "optimisation_failed",
        "policy_differs",
        "ramp_timeout",
        "record_not_read",
        "reference_lost",
        "refused",
        "silent",
        "stop_failed",
        "two_references",
        "version_not_kept",
    }
)
"""Each has an entry in ``rules/errors.yaml``. A name that is raised and does not stand here fails a test."""
