#!/usr/bin/env bash
# tonic 1.7.0's reader of DVS128 recordings (AEDAT 2.0; CIFAR10-DVS is read with it) takes the bits
# of the row for x and those of the column for y, and the polarity bit as it is. jAER, which writes
# these files, and libcaer have the column in bits 1 to 7, mirrored, the row in bits 8 to 14, and take
# a 1 in bit 0 for darker (iniVation's page on the format says 1 is brighter).
# Prints, on Python 3.11:
#   tonic 1.7.0
#   address bits: column 3, row 100, polarity bit 1; tonic: x 100, y 3, p 1
#   jAER: x 124, y 100 (from the bottom), darker
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet tonic==1.7.0
cd "$place"
venv/bin/python - 2>/dev/null <<'PY'
import importlib.metadata
import struct

import numpy as np
from tonic import io

print("tonic", importlib.metadata.version("tonic"))
column, row, polarity = 3, 100, 1
lines = ["#!AER-DAT2.0", "# This is a raw AE data file - do not edit", "# created Thu Dec 03 2015"]
head = "".join(line + "\r\n" for line in lines).encode()
event = struct.pack(">II", row << 8 | column << 1 | polarity, 10)
open("one.aedat", "wb").write(head + event * 4)
addresses = np.frombuffer(event, ">u4")[:1]
try:
    _, found = io.read_dvs_128("one.aedat")
except ValueError:  # its header reader gives three values, this one takes two: hand it the events
    read_header, io.read_aedat_header_from_file = io.read_aedat_header_from_file, None
    io.read_aedat_header_from_file = lambda name: read_header(name)[:2]
    _, found = io.read_dvs_128("one.aedat")
x, y, p = (int(found[name][0]) for name in "xyp")
print(f"address bits: column {column}, row {row}, polarity bit 1; tonic: x {x}, y {y}, p {p}")
print(f"jAER: x {127 - column}, y {row} (from the bottom), darker")
raise SystemExit(0 if (x, y, p) == (row, column, polarity) else 1)
PY
