#!/usr/bin/env bash
# RAW and DAT files that faery 0.7.1 writes begin at 0: it takes the first time off all of them and
# notes it in a header field of its own, `% t0`. Readers that do not know the field (evlib 0.13.2,
# evt3 0.4.1, expelliarmus 1.1.12) give other times than were written, and two recordings of one
# clock no longer fit together. `to_file(..., zero_t0=False)` writes the times as they are.
# Prints, on Python 3.11:
#   faery 0.7.1 expelliarmus 1.1.12 evt3 0.4.1
#   written from 123456789 µs; read by faery 123456789, expelliarmus (EVT2) 0, evt3 (EVT3) 0
#   with zero_t0=False: faery 123456789, expelliarmus (EVT2) 123456789
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet faery==0.7.1 expelliarmus==1.1.12 evt3==0.4.1
cd "$place"
venv/bin/python - <<'PY'
import importlib.metadata

import evt3
import expelliarmus
import faery
import numpy as np

version = importlib.metadata.version
print(*(f"{name} {version(name)}" for name in ("faery", "expelliarmus", "evt3")))
start = 123_456_789
events = np.zeros(100, dtype=faery.EVENTS_DTYPE)
events["t"] = start + np.arange(100)


def write(name, **options):
    faery.events_stream_from_array(events, (640, 480)).to_file(name, **options)


write("two.raw", version="evt2")
write("three.raw", version="evt3")
write("whole.raw", version="evt2", zero_t0=False)
first = [
    int(next(iter(faery.events_stream_from_file("two.raw")))["t"][0]),
    int(expelliarmus.Wizard(encoding="evt2").read("two.raw")["t"][0]),
    int(evt3.decode_file("three.raw").timestamp[0]),
    int(next(iter(faery.events_stream_from_file("whole.raw")))["t"][0]),
    int(expelliarmus.Wizard(encoding="evt2").read("whole.raw")["t"][0]),
]
print(
    f"written from {start} µs; read by faery {first[0]}, expelliarmus (EVT2) {first[1]}, "
    f"evt3 (EVT3) {first[2]}"
)
print(f"with zero_t0=False: faery {first[3]}, expelliarmus (EVT2) {first[4]}")
raise SystemExit(0 if first == [start, 0, 0, start, start] else 1)
PY
