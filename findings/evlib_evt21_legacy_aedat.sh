#!/usr/bin/env bash
# evlib 0.13.2 gives wrong events, and no error, for two kinds of valid files:
#  - EVT2.1 whose header says `endianness=legacy` (the halves of each 64-bit word are swapped, as the
#    IMX636 sends them): the field is not looked at; no event is found, or many that are none;
#  - AEDAT 2.0 and 3.1: an empty table.
# faery 0.7.1 reads neither, and says so; it also refuses EVT2.1 under the name that cameras write
# (`% format EVT21`).
# Prints, on Python 3.11:
#   evlib 0.13.2 faery 0.7.1
#   EVT2.1, 200 events: little 200, legacy 0
#   AEDAT 2.0 / 3.1, 100 events each: 0 / 0
#   faery, `% format EVT21`: unknown version "EVT21" (supports "evt2", "evt2.1", and "evt3")
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet evlib==0.13.2 faery==0.7.1
cd "$place"
venv/bin/python - 2>/dev/null <<'PY'
import importlib.metadata
import struct

import evlib
import faery

version = importlib.metadata.version
print("evlib", version("evlib"), "faery", version("faery"))
words = []
for i in range(100):  # at 64 i µs: a time, then columns 8 and 28 (and 32 (i % 3)) of row i
    words += [8 << 60 | i << 32, 1 << 60 | 32 * (i % 3) << 43 | i << 32 | 1 << 28 | 1 << 8]
head = b"% evt 2.1\n% format EVT21;%sheight=480;width=640\n% geometry 640x480\n% end\n"
swapped = [(w >> 32 | w << 32) & (1 << 64) - 1 for w in words]
for name, part, found in (("little", b"", words), ("legacy", b"endianness=legacy;", swapped)):
    open(f"{name}.raw", "wb").write(head.replace(b"%s", part) + struct.pack("<200Q", *found))
aedat2 = b"#!AER-DAT2.0\r\n" + b"".join(
    struct.pack(">II", 5 << 1 | 7 << 8, 10 * i) for i in range(100)
)
events = b"".join(struct.pack("<II", 5 << 17 | 7 << 2 | 3, 10 * i) for i in range(100))
aedat3 = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n"
aedat3 += struct.pack("<hhiiiiii", 1, 0, 8, 4, 0, 100, 100, 100) + events
open("two.aedat", "wb").write(aedat2)
open("three.aedat", "wb").write(aedat3)


def count(name):
    return len(evlib.load_events(name).collect())


little, legacy = count("little.raw"), count("legacy.raw")
print(f"EVT2.1, 200 events: little {little}, legacy {legacy}")
two, three = count("two.aedat"), count("three.aedat")
print(f"AEDAT 2.0 / 3.1, 100 events each: {two} / {three}")
try:
    faery.events_stream_from_file("little.raw")
    refused = ""
except Exception as error:
    refused = str(error)
print("faery, `% format EVT21`:", refused)
raise SystemExit(0 if little == 200 != legacy and two == three == 0 and refused else 1)
PY
