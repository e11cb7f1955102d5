"""The host programs as files of a build: ``host/``, which needs none of this package."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from neurocuda_hw.host import nchw_host
from neurocuda_hw.host.nchw_host import Facts, Kind, Reason

_HERE = Path(__file__).resolve().parent
_MAKEFILE = """\
# The host program in C: make, then ./nchw_host --serial /dev/ttyUSB0 --golden ../golden
CC ?= cc
CFLAGS ?= -O2

nchw_host: nchw_host.c nchw_host.h
	$(CC) -std=c99 -Wall -Wextra -Werror $(CFLAGS) nchw_host.c -o nchw_host -lm

.PHONY: clean
clean:
	rm -f nchw_host
"""

_DEVICE = """
/* What functions return. */
enum {
    NCHW_OK, NCHW_NO_ANSWER, NCHW_OTHER_NETWORK, NCHW_DROPPED, NCHW_BAD_ANSWER, NCHW_BAD_INPUT,
    NCHW_AGAIN, NCHW_READ_FIRST
};

/* A device; patience and wait are in seconds: for all of an answer, and before asking again. */
typedef struct {
    int fd, begun, open, escaped;
    double patience, wait;
    unsigned long retries, restarts;
    uint8_t number, frame[4 + 255 + 4];
    size_t size, answered;
    uint8_t packet[NCHW_MOST_BYTES], answer[NCHW_MOST_ANSWER];
} nchw_device;

/* Opens a serial port. The network is asked for with the first input. */
int nchw_open(nchw_device *device, const char *port, long baud);
/* One inference: NCHW_FRAMES * NCHW_INPUTS integers in, NCHW_OUTPUTS values or counts out. */
int nchw_run_values(nchw_device *device, const int32_t *values, int64_t *outputs);
#ifdef NCHW_SCALES
/* Real inputs as integers, by the input scale. */
void nchw_quantise(const double *real, int32_t *values);
#endif
/* The same of a packet that nchw_encode made; it returns its size, or 0 for values out of range. */
size_t nchw_encode(const int32_t *values, uint8_t *bytes);
int nchw_run(nchw_device *device, const uint8_t *bytes, size_t size, int64_t *outputs);
/* What went wrong, in words. */
const char *nchw_error(int result);

#endif
"""


def host_files(facts: Facts) -> dict[str, bytes]:
    """The programs in Python and C, and what they have to know of the network."""
    told = json.dumps(asdict(facts), indent=1) + "\n"
    files = {
        f"host/{name}": (_HERE / name).read_bytes() for name in ("nchw_host.py", "nchw_host.c")
    }
    return files | {
        "host/nchw_host.json": told.encode(),
        "host/nchw_host.h": header(facts).encode(),
        "host/Makefile": _MAKEFILE.encode(),
    }


def header(facts: Facts) -> str:
    """``nchw_host.h``: the protocol's numbers and the network's, for C."""
    channels, height, width = facts.shape
    inputs, steps = channels * height * width, facts.start + facts.frames
    answer = facts.outputs
    if facts.spikes:
        answer = facts.steps * (facts.outputs + 1)
    numbers = {
        "MARK": nchw_host.MARK,
        "ESCAPE": nchw_host.ESCAPE,
        "FLIP": nchw_host.FLIP,
        "ANSWER": nchw_host.ANSWER,
        "REFUSED": nchw_host.REFUSED,
        "LAST": nchw_host.LAST,
        "WAITING": nchw_host.WAITING,
        "FAULTS": (1 << len(nchw_host.FAULTS)) - 1,
        "PATIENCE_BITS": nchw_host.PATIENCE_BITS,
        **{kind.name: kind.value for kind in Kind},
        **{reason.name: reason.value for reason in Reason},
        "STEPS": facts.steps,
        "START": facts.start,
        "FRAMES": facts.frames,
        "CHANNELS": channels,
        "HEIGHT": height,
        "WIDTH": width,
        "INPUTS": inputs,
        **dict(zip(("C_BITS", "Y_BITS", "X_BITS"), facts.bits, strict=True)),
        "VALUE_BITS": facts.value_bits,
        "LOWEST": facts.lowest,
        "HIGHEST": facts.highest,
        "RASTER": int(facts.raster),
        "SPIKES": int(facts.spikes),
        "OUTPUTS": facts.outputs,
        "OUT_HEIGHT": facts.out_shape[1],
        "OUT_WIDTH": facts.out_shape[2],
        **dict(zip(("OUT_C_BITS", "OUT_Y_BITS", "OUT_X_BITS"), facts.out_bits, strict=True)),
        "INPUT_BYTES": facts.input_bytes,
        "OUTPUT_BYTES": facts.output_bytes,
        "MOST_BYTES": (facts.frames * inputs + steps + 1) * facts.input_bytes,
        "MOST_ANSWER": answer * facts.output_bytes,
    }
    lines = [
        f"/* Network {facts.name} on a serial line. Written by neurocuda_hw. */",
        "#ifndef NCHW_HOST_H",
        "#define NCHW_HOST_H",
        "",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "",
        f'#define NCHW_HASH "{facts.hash[:12]}"',
        f"#define NCHW_IDENTITY {{{', '.join(map(str, facts.identity))}}}",
        *(
            f"#define NCHW_SCALES {{{', '.join(map(repr, given))}}} /* divide real inputs */"
            for given in [facts.scale]
            if given
        ),
        *(f"#define NCHW_{name} {value}" for name, value in numbers.items()),
    ]
    return "\n".join(lines) + "\n" + _DEVICE
