"""How far the ledger's instants are from the instants at which the sandbox's gateway really sent.

    python benchmarks/ledger_vs_journal.py                 # runs two gates, about two minutes
    python benchmarks/ledger_vs_journal.py runs/ID ...     # or reads stored sandbox runs

Both sides are on one machine, so both clocks are the same; the difference holds the gateway's write, the
loopback, and the reading. A request's first and last token are compared one by one.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb

AGREEMENT = """
WITH journal AS (
    SELECT request_id, t_ns - mono_ns AS wall_ns, first_sent_mono_ns, last_sent_mono_ns
    FROM read_json('{run}/sandbox/journal.ndjson', format='newline_delimited',
        columns={{event: 'VARCHAR', request_id: 'VARCHAR', t_ns: 'BIGINT', mono_ns: 'BIGINT',
                 first_sent_mono_ns: 'BIGINT', last_sent_mono_ns: 'BIGINT'}})
    WHERE event = 'request' AND first_sent_mono_ns IS NOT NULL
), both_books AS (
    SELECT (epoch_ns + first_token_ns - first_sent_mono_ns - wall_ns) / 1e6 AS first_ms,
           (epoch_ns + last_token_ns - last_sent_mono_ns - wall_ns) / 1e6 AS last_ms, clock
    FROM '{run}/requests.parquet' JOIN journal USING (request_id) WHERE outcome = 'ok'
)
SELECT count(*), any_value(clock), median(first_ms), quantile_cont(first_ms, 0.99),
       median(last_ms), quantile_cont(last_ms, 0.99)
FROM both_books
"""


def main(arguments: list[str]) -> None:
    """Print one line per run."""
    with tempfile.TemporaryDirectory() as place:
        runs = [Path(argument) for argument in arguments] or [
            fresh_run(Path(place), driver) for driver in ("stream", "openai")
        ]
        print(
            "run                               requests  clock   TTFT ms p50 / p99   last ms p50 / p99"
        )
        for run in runs:
            with duckdb.connect() as database:
                found = database.execute(AGREEMENT.format(run=run)).fetchone()
            assert found is not None
            n, clock, *numbers = found
            first, last = (
                f"{numbers[0]:.3f} / {numbers[1]:.3f}",
                f"{numbers[2]:.3f} / {numbers[3]:.3f}",
            )
            print(f"{run.name:<34}{n:>8}  {clock:<7} {first:>18}  {last:>18}")


def fresh_run(place: Path, driver: str) -> Path:
    """Run the smoke scenario in the sandbox with one of the two drivers."""
    text = Path("scenarios/smoke.yaml").read_text()
    scenario = place / f"{driver}.yaml"
    scenario.write_text(text.replace("name: smoke", f"name: smoke-{driver}\ndriver: {driver}"))
    out = place / driver
    command = [sys.executable, "-m", "tfy_last9", "gate", str(scenario), "--sandbox", "--quiet"]
    subprocess.run([*command, "--out", str(out)], check=False, stdout=subprocess.DEVNULL)
    return next(path for path in out.iterdir() if (path / "run.json").is_file())


if __name__ == "__main__":
    main(sys.argv[1:])
