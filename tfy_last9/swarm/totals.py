"""What the load looks like so far, over all workers."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from tfy_last9.swarm.spending import total_spending


@dataclass(slots=True)
class Progress:
    """What the load looks like so far; written each second for whoever watches the run."""

    offered: dict[int, int] = field(default_factory=dict)
    errors: dict[int, int] = field(default_factory=dict)
    samples: dict[int, dict[str, Any]] = field(default_factory=dict)
    targets: dict[str, dict[str, Any]] = field(default_factory=dict)
    spending: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Per worker; empty without a budget."""

    def take(self, news: dict[str, Any]) -> None:
        """Take the news of one letter; letters that were held up come in any order."""
        worker = news["sample"]["worker"]
        if news["offered"] >= self.offered.get(worker, 0):
            self.samples[worker] = news["sample"]
            self.offered[worker] = news["offered"]
            self.errors[worker] = news["errors"]
            if news.get("spending") is not None:
                self.spending[worker] = news["spending"]
        for name, target in news["targets"].items():
            known = self.targets.setdefault(name, {"finished": 0, "errors": 0, "ttft_p95_ns": None})
            known["finished"] += target["finished"]
            known["errors"] += target["errors"]
            known["ttft_p95_ns"] = target["ttft_p95_ns"] or known["ttft_p95_ns"]

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
            "spending": total_spending(self.spending.values()),
        }
