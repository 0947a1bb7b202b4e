"""What an audit says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class Report:
    """Findings (one line each, naming a place, never a value of an event) and counts of what was looked at.

    ``checked``: one line for each set of worlds that the rule was tried on, by k and guard.
    """

    findings: list[str] = field(default_factory=list)
    summary: dict[str, int] = field(default_factory=dict)
    checked: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """True where nothing was found."""
        return not self.findings

    def found(self, count: int, place: str, what: str) -> None:
        """Note one line where ``count`` cases at ``place`` break a promise; nothing where ``count`` is 0."""
        if count:
            self.findings.append(f"{place}: {what} ({count:,} cases)" if count > 1 else f"{place}: {what}")

    def count(self, **seen: int) -> None:
        """Add to the summary's counts."""
        for name, number in seen.items():
            self.summary[name] = self.summary.get(name, 0) + int(number)

    def add(self, other: Report) -> None:
        """Take over another report's findings and counts."""
        self.findings += other.findings
        self.checked += other.checked
        self.count(**other.summary)

    def as_dict(self) -> Mapping[str, object]:
        """For JSON."""
        return {"passed": self.passed, "findings": self.findings, "checked": self.checked, **self.summary}
