"""The verdict: what compared this build with the golden trace, and whether that still holds.

A build is verified only if a check of its own target was equal, was made on this very build,
compared enough (see `targets.evidence`), and no file has changed since.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from neurocuda_hw.ground.words import some
from neurocuda_hw.report.facts import Facts
from neurocuda_hw.targets.base import Target
from neurocuda_hw.targets.evidence import Evidence, none_caught
from neurocuda_hw.targets.table import BENCHES, verified_by


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """One check, as a row of the table.

    `little` says why it is too little to say "equal", `silent` which layers never fired; `activity`
    holds what each layer of simulated hardware did, in cycles per inference.
    """

    target: str
    what: str
    verdict: str
    samples: int
    spikes: int
    cycles: float
    latency: int
    golden: str
    when: str
    message: str
    little: str
    silent: list[str]
    activity: dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What may be said of the build.

    Parameters
    ----------
    state : str
        ``verified``, ``partial``, ``different``, ``outdated`` or ``unverified``.
    sentence, detail : str
        For people.
    rows : tuple of CheckRow
        All checks on record.
    broken : str
        What became of designs that were broken on purpose; empty where none were made.
    """

    state: str
    sentence: str
    detail: str
    rows: tuple[CheckRow, ...]
    broken: str = ""


def judge(facts: Facts) -> Verdict:
    """The verdict on a build."""
    rows = tuple(_row(target, check, facts) for target, check in facts.checks.items())
    mutants = facts.mutants if _fresh(facts.mutants, facts) else None
    broken = ""
    if mutants is not None:
        broken = f"{mutants['caught']} caught, {mutants['missed']} missed"
        idle = int(mutants.get("not exercised", 0))
        broken += f", {idle} not shown by these inputs" if idle else ""
    state, sentence, detail = _judge(facts, rows, mutants)
    return Verdict(state=state, sentence=sentence, detail=detail, rows=rows, broken=broken)


def _judge(
    facts: Facts, rows: tuple[CheckRow, ...], mutants: dict[str, Any] | None
) -> tuple[str, str, str]:
    """State, sentence and detail."""
    parts = {p.name: [bench.name for bench in p.benches] for p in facts.parts if p.benches}
    able = [check for benches in parts.values() for check in benches]
    deciding = [row for row in rows if row.target in able]
    equal = [row for row in deciding if row.verdict == "equal"]
    wrong = [row for row in rows if row.verdict == "different"]
    left = [part for part in parts if not any(row.target in parts[part] for row in equal)]
    how = f"nchw verify {facts.folder}"
    if list(parts) != [verified_by(None)]:
        how += f" --target {','.join(left or parts)}"
    if wrong:
        names = ", ".join(row.target for row in wrong)
        return "different", f"Not equal: {names} differs from the golden trace.", wrong[0].message
    if mutants is not None and mutants["missed"]:
        return (
            "different",
            f"The checks missed {some(mutants['missed'], 'design')} broken on purpose.",
            "What they say of this build cannot be relied upon.",
        )
    if equal and facts.changed:
        told = ", ".join(facts.changed[:3])
        told += f" and {len(facts.changed) - 3} more" if len(facts.changed) > 3 else ""
        count = some(len(facts.changed), "file")
        return "outdated", f"Not verified: {count} not as built.", f"Not as built: {told}."
    open_checks = [check for part in left for check in parts[part]]
    little = [r.little for r in rows if r.target in open_checks and r.verdict == "too little"]
    little += [_none_caught(mutants)] if equal else []
    if any(little):
        return (
            "unverified",
            f"Not verified: {little[0]}, which shows nothing.",
            f"Compare with inputs that make it fire: {how} --data DATA",
        )
    if equal and left:
        return (
            "partial",
            f"Verified in part: {', '.join(row.target for row in equal)} is equal, nothing has "
            f"compared {', '.join(left)}.",
            f"Compare the rest: {how}",
        )
    if equal:
        most = [
            max((row for row in equal if row.target in benches), key=lambda row: row.samples)
            for benches in parts.values()
        ]
        best = min(most, key=lambda row: row.samples)  # what every part was compared on
        told = ""
        if mutants:
            told = f" Broken on purpose and caught: {some(mutants['caught'], 'design')}."
        told += "".join(f" Layer {name!r} never fired." for name in best.silent)
        return (
            "verified",
            f"Verified: every spike of every layer is equal on {some(best.samples, 'inference')}.",
            f"Compared: {'; '.join(row.what for row in equal)}; {best.spikes:,} spikes; "
            f"{best.when}.{told}",
        )
    if deciding:
        return (
            "outdated",
            "Not verified: what was compared was an earlier build.",
            f"Compare this one: {how}",
        )
    product = facts.parts[0].product if len(facts.parts) == 1 else Target.product
    return (
        "unverified",
        f"Not verified: nothing has compared {product} with the golden trace.",
        facts.record_fault or (f"Compare it: {how}" if parts else "No check runs this target."),
    )


def _row(target: str, check: dict[str, Any], facts: Facts) -> CheckRow:
    evidence = Evidence(
        samples=int(check["samples"]),
        events=check.get("events"),
        spikes={name: int(count) for name, count in check.get("spikes", {}).items()},
        outputs=check.get("outputs"),
    )
    verdict = "of an earlier build"
    if _fresh(check, facts):
        verdict = "too little" if evidence.little else "equal"
        # an earlier version's record holds under this name only whether something differed
        verdict = verdict if check.get("same", check["equal"]) else "different"
    return CheckRow(
        target=target,
        what=BENCHES[target].compares if target in BENCHES else target,
        verdict=verdict,
        samples=evidence.samples,
        spikes=sum(evidence.spikes.values()),
        cycles=float(check.get("cycles_per_inference", 0.0)),
        latency=int(check.get("latency_cycles", 0)),
        golden=str(check.get("golden", "")),
        when=str(check["when"]).replace("T", " ").replace("+00:00", " UTC"),
        message=str(check.get("message", "")),
        little=evidence.little,
        silent=evidence.silent,
        activity={
            layer: {state: count / max(1, int(check["samples"])) for state, count in told.items()}
            for layer, told in check.get("activity", {}).items()
        },
    )


def _none_caught(mutants: dict[str, Any] | None) -> str:
    made = mutants or {}
    return none_caught(*(int(made.get(o, 0)) for o in ("caught", "missed", "not exercised")))


def _fresh(entry: dict[str, Any] | None, facts: Facts) -> bool:
    """Whether it is about this very build."""
    return entry is not None and entry["build"] == facts.digest
