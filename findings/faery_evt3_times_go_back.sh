#!/usr/bin/env bash
# faery 0.7.1 changes the times of EVT3 recordings, without a word, in two cases of valid words:
#  - a time that goes back (cameras write such: 1,455 of 219,596 times of one real recording) is
#    raised to the highest time so far;
#  - after a pause of 10 ms before each event, a lap of the 24-bit counter (16.8 s) is lost: the
#    decoder asks for a larger fall of the high part than OpenEB's half of the range, and then every
#    later time stays at the highest one. faery reads so what it wrote itself.
# Prints, on Python 3.11:
#   faery 0.7.1
#   written [100, 5000, 4990, 6000] read [100, 5000, 5000, 6000]
#   4000 events over 40.0 s, written by faery: read back, the last is at 16.77 s; 2322 times differ
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet faery==0.7.1
cd "$place"
venv/bin/python - <<'PY'
import importlib.metadata
import struct

import faery
import numpy as np

print("faery", importlib.metadata.version("faery"))
times = [100, 5000, 4990, 6000]
words = [0x0003]  # row 3
for t in times:
    words += [0x8000 | t >> 12, 0x6000 | t & 0xFFF, 0x2000 | 7]
head = b"% evt 3.0\n% format EVT3;height=480;width=640\n% geometry 640x480\n% end\n"
open("back.raw", "wb").write(head + struct.pack(f"<{len(words)}H", *words))
read = np.concatenate(list(faery.events_stream_from_file("back.raw")))["t"].tolist()
print("written", times, "read", read)
clamped = read == [100, 5000, 5000, 6000]

events = np.zeros(4000, dtype=faery.EVENTS_DTYPE)
events["t"] = np.arange(4000) * 10_000
faery.events_stream_from_array(events, (640, 480)).to_file("sparse.raw", version="evt3")
read = np.concatenate(list(faery.events_stream_from_file("sparse.raw")))["t"]
wrong = int((read != events["t"]).sum())
print(
    f"4000 events over {events['t'][-1] / 1e6:.1f} s, written by faery: read back, the last is at "
    f"{read[-1] / 1e6:.2f} s; {wrong} times differ"
)
raise SystemExit(0 if clamped and wrong > 0 else 1)
PY
