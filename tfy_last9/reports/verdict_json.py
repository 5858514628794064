"""`verdict.json`: the source of truth of every report. Same verdict, same bytes.

Holds no clock, host or path. Floats are rounded to six significant digits, so that bytes do not hang on
the last bit of an arithmetic unit. The layout is `tfy_last9/schemas/verdict.schema.json`, version 1.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from tfy_last9.errors import BrokenRun
from tfy_last9.model.contract import ContractGap
from tfy_last9.model.verdict import (
    Accounting,
    BurnRate,
    EarlierLook,
    Exemplar,
    Finding,
    Group,
    Lift,
    LossPart,
    LossSplit,
    Portion,
    Quantile,
    State,
    Validity,
    Verdict,
    Why,
)

SCHEMA = 1
DIGITS = 6


def render(verdict: Verdict) -> str:
    """Return the JSON text; ends with a line break."""
    data = {"schema": SCHEMA, **asdict(verdict)}
    data["findings"] = [
        {**finding, "group": dict(finding["group"]), "why": _why_data(finding["why"])}
        for finding in data["findings"]
    ]
    for name in ("join_paths", "absent_roles"):
        data["accounting"][name] = dict(data["accounting"][name])
    return json.dumps(_plain(data), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def parse(text: str) -> Verdict:
    """Return the verdict that `render` wrote; numbers are as precise as they were written."""
    try:
        data = json.loads(text)
        if data["schema"] != SCHEMA:
            raise BrokenRun(
                f"verdict.json has schema {data['schema']}, this version reads {SCHEMA}",
                hint="decide again from the run folder: tfy-last9 check RUN",
            )
        return _verdict({key: value for key, value in data.items() if key != "schema"})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BrokenRun(
            f"verdict.json cannot be read: {error}",
            hint="decide again from the run folder: tfy-last9 check RUN",
        ) from error


def _verdict(data: Mapping[str, Any]) -> Verdict:
    accounting, validity = data["accounting"], data["validity"]
    return Verdict(
        **{
            **data,
            "state": State(data["state"]),
            "findings": tuple(_finding(item) for item in data["findings"]),
            "accounting": Accounting(
                **{
                    **accounting,
                    "join_paths": tuple(accounting["join_paths"].items()),
                    "lag": _quantile(accounting["lag"]),
                    "lag_steps": tuple((s, n) for s, n in accounting["lag_steps"]),
                    "loss_profile": tuple((n, lost) for n, lost in accounting["loss_profile"]),
                    "losses": tuple(_split(item) for item in accounting["losses"]),
                    "absent_roles": tuple(accounting["absent_roles"].items()),
                }
            ),
            "validity": Validity(
                **{
                    **validity,
                    "problems": tuple(validity["problems"]),
                    "warnings": tuple(validity["warnings"]),
                }
            ),
            "next_steps": tuple(data["next_steps"]),
            "contract": tuple(ContractGap(**gap) for gap in data["contract"]),
            "earlier_looks": tuple(EarlierLook(**item) for item in data["earlier_looks"]),
        }
    )


def _finding(data: Mapping[str, Any]) -> Finding:
    group: Group = tuple(data["group"].items())
    return Finding(
        **{
            **data,
            "group": group,
            "state": State(data["state"]),
            "quantile": _quantile(data["quantile"]),
            "exemplars": tuple(Exemplar(**item) for item in data["exemplars"]),
            "why": _why(data["why"]),
            "burn_rates": tuple(BurnRate(**item) for item in data["burn_rates"]),
        }
    )


def _why_data(why: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if why is None else {**why, "where": dict(why["where"])}


def _why(data: Mapping[str, Any] | None) -> Why | None:
    if data is None:
        return None
    return Why(
        where=tuple((label, _portions(found)) for label, found in data["where"].items()),
        stages=_portions(data["stages"]),
        first_bad_minute=data["first_bad_minute"],
        lifts=tuple(Lift(**item) for item in data["lifts"]),
    )


def _portions(data: Iterable[Mapping[str, Any]]) -> tuple[Portion, ...]:
    return tuple(Portion(**item) for item in data)


def _split(data: Mapping[str, Any]) -> LossSplit:
    return LossSplit(data["by"], tuple(LossPart(**part) for part in data["parts"]))


def _quantile(data: Mapping[str, Any] | None) -> Quantile | None:
    return None if data is None else Quantile(**data)


def _plain(value: Any) -> Any:
    """Return JSON data with rounded floats; what is not a finite number is absent, never 0."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value
