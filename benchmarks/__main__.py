"""`python -m benchmarks [P1 P2 …] [--rounds 5] [--write]`: run scenarios and print what they found."""

from __future__ import annotations

import argparse
import sys
import time

from benchmarks import p1_drain, p2_publish, p3_batch, p4_latency, p6_million, report

SCENARIOS = {"P1": p1_drain, "P2": p2_publish, "P3": p3_batch, "P4": p4_latency, "P6": p6_million}


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", nargs="*", default=list(SCENARIOS), help=", ".join(SCENARIOS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="put the figures into docs/performance.md")
    asked = parser.parse_args()
    figures = []
    for number, name in enumerate(asked.scenario, 1):
        summary = (SCENARIOS[name].__doc__ or "").splitlines()[0]
        print(f"[{number}/{len(asked.scenario)}] {summary}", file=sys.stderr, flush=True)
        began = time.monotonic()
        figures += SCENARIOS[name].run(asked.rounds)
        print(f"    done in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    report.show(figures)
    if asked.write:
        report.write(figures)


if __name__ == "__main__":
    main()
