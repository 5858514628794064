"""What the load looks like so far, over all workers."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Progress:
    """What the load looks like so far; written each second for whoever watches the run."""

    offered: dict[int, int] = field(default_factory=dict)
    errors: dict[int, int] = field(default_factory=dict)
    samples: dict[int, dict[str, Any]] = field(default_factory=dict)
    targets: dict[str, dict[str, Any]] = field(default_factory=dict)

    def take(self, data: dict[str, Any]) -> None:
        """Take one health message."""
        worker = data["sample"]["worker"]
        self.samples[worker] = data["sample"]
        self.offered[worker] = data["offered"]
        self.errors[worker] = data["errors"]
        for name, news in data["targets"].items():
            known = self.targets.setdefault(name, {"finished": 0, "errors": 0, "ttft_p95_ns": None})
            known["finished"] += news["finished"]
            known["errors"] += news["errors"]
            known["ttft_p95_ns"] = news["ttft_p95_ns"] or known["ttft_p95_ns"]

    def document(self) -> dict[str, Any]:
        """Return the totals over workers."""

        def total(key: str) -> int:
            return sum(sample[key] for sample in self.samples.values())

        return {
            "t_ns": time.time_ns(),
            "offered": sum(self.offered.values()),
            "errors": sum(self.errors.values()),
            "started": total("started"),
            "missed": total("missed"),
            "finished": total("finished"),
            "in_flight": total("in_flight"),
            "targets": self.targets,
        }
