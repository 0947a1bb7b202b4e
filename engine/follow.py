"""How long people are followed, and how much later gates and zones close for it (docs/adr/0033)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Follow:
    """How long a tracked person may be unseen, and pass from one beam to the other, in ms (config: points, beams)."""

    track_ms: int = 2000
    pair_ms: int = 1500

    def behind_ms(self, *, lined: bool, paired: bool) -> int:
        """How much later than end + ``delay_s`` a gate closes: one with a line, one at which a beam pair stands."""
        return max(self.track_ms if lined else 0, self.pair_ms if paired else 0)
