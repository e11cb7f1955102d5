"""The IP block's files: other tools read them, and the packaging script names what is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from small import small_network
from tools import need

from neurocuda_hw.ground.programs import run
from neurocuda_hw.ground.toolchain import find_verilator, find_yosys
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import IF, Encoding, Input
from neurocuda_hw.network.synapses import Conv2d, Diagonal
from neurocuda_hw.rtl.emit import emit
from neurocuda_hw.rtl.ip import ip_files
from neurocuda_hw.simulation.benches import bench_folder


def wide_network() -> Network:
    """Its events need words of 64 bits; two projections end in one population."""
    image = Population(
        name="image",
        shape=(1, 256, 256),
        neuron=Input(encoding=Encoding.GRADED, payload_bits=16),
    )
    out = Population(name="out", shape=(2, 2, 2), neuron=IF(threshold=1 << 10))
    down = Conv2d(weight=np.ones((2, 1, 1, 1), dtype=int), stride=(128, 128))
    around = Diagonal(weight=np.array([3, -2]))
    return Network(
        populations=(image, out),
        projections=(
            Projection(source="image", target="out", synapse=down),
            Projection(source="out", target="out", synapse=around, delay=1),
        ),
        timesteps=2,
    )


CASES = {
    "counters": (small_network(), True, 32),
    "control": (small_network(), False, 32),
    "wide": (wide_network(), True, 64),
}


@pytest.fixture(scope="module", params=CASES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Core and IP block."""
    network, counters, tdata_bits = CASES[request.param]
    design = emit(network)
    assert design.tdata_bits == tdata_bits
    block = ip_files(network, tdata_bits=tdata_bits, counters=counters, sources=list(design.files))
    root = tmp_path_factory.mktemp("ip")
    for path, content in (design.files | block).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def sources(folder: Path) -> list[Path]:
    return [*sorted((folder / "ip").glob("*.v")), *sorted((folder / "rtl").glob("*.v"))]


@pytest.mark.slow
def test_verilator_has_no_complaint(folder: Path) -> None:
    verilator = find_verilator()
    need(verilator)
    waivers = bench_folder() / "waivers.vlt"
    told = run(
        verilator,
        [
            *("--lint-only", "-Wall", "-Wfuture-PROCASSINIT", "--top-module", "nchw_ip"),
            *(str(path) for path in (waivers, *sources(folder))),
        ],
        cwd=folder / "rtl" / "mem",
    )
    assert "%Warning" not in told.stdout


def test_yosys_reads_it_without_vendor_primitives(folder: Path) -> None:
    yosys = find_yosys()
    need(yosys)
    paths = " ".join(f"../../{path.relative_to(folder)}" for path in sources(folder))
    # a primitive would be a module that nobody has described
    script = f"read_verilog {paths}; hierarchy -check -top nchw_ip; proc; check -assert"
    told = run(yosys, ["-p", script], cwd=folder / "rtl" / "mem").stdout
    kinds = set(re.findall(r"Used module:\s+(\S+)", told))
    assert {r"\nchw_top", r"\nchw_registers", r"\nchw_ram"} <= kinds


def ports(folder: Path) -> set[str]:
    text = (folder / "ip" / "nchw_ip.v").read_text()
    head = text[text.index("module nchw_ip") : text.index(");\n")]
    return set(re.findall(r"^    (?:input |output) wire\s+(?:\[\d+:0\]\s*)?(\w+),?$", head, re.M))


def test_ports_have_the_names_that_axi_tools_look_for(folder: Path) -> None:
    stream = {"tdata", "tkeep", "tlast", "tvalid", "tready"}
    lite = {f"{c}{w}" for c in ("aw", "w", "b", "ar", "r") for w in ("valid", "ready")}
    lite |= {"awaddr", "awprot", "wdata", "wstrb", "bresp", "araddr", "arprot", "rdata", "rresp"}
    assert ports(folder) == {
        *("aclk", "aresetn", "irq"),
        *(f"{side}_axis_{wire}" for side in "sm" for wire in stream),
        *(f"s_axi_{wire}" for wire in lite),
    }


def test_interface_attributes_name_each_port(folder: Path) -> None:
    text = (folder / "ip" / "nchw_ip.v").read_text()
    found = re.findall(
        r'X_INTERFACE_INFO = "xilinx.com:\w+:(\w+):1.0 (\w+) (\w+)" \*\)\n'
        r"(?:    \(\* X_INTERFACE_PARAMETER .*\n)?    (?:input |output) wire [^,\n]*?(\w+),?\n",
        text,
    )
    assert {port for *_, port in found} == ports(folder)
    for kind, interface, wire, port in found:
        if kind in ("axis", "aximm"):
            assert port == f"{interface}_{wire.lower()}"
        else:
            assert port == interface
    busif = re.search(r"ASSOCIATED_BUSIF ([\w:]+), ASSOCIATED_RESET (\w+)", text)
    assert busif is not None
    assert set(busif[1].split(":")) == {i for kind, i, *_ in found if kind in ("axis", "aximm")}
    assert busif[2] == "aresetn"


# Vivado's commands, as far as the script uses them: each notes what it was given.
STAND_INS = """
set noted {}
foreach name {create_project add_files set_property update_compile_order close_project
              get_files current_fileset ipx::package_project ipx::current_core
              ipx::update_checksums ipx::check_integrity ipx::save_core} {
    namespace eval ipx {}
    proc ::$name {args} [string map [list NAME $name] {
        global noted
        lappend noted [linsert $args 0 NAME]
        return NAME
    }]
}
"""


def tcl_commands(folder: Path, *arguments: str) -> list[list[str]]:
    """What the packaging script calls, in order, by a Tcl interpreter with stand-ins."""
    script = folder / "ip" / "package_ip.tcl"
    call = f"set argv [list {' '.join(arguments)}]\ninfo script {{{script}}}\nsource {{{script}}}\n"
    show = 'foreach command $noted { puts [join $command "\\x1f"] }\n'
    tclsh = shutil.which("tclsh")
    if tclsh is not None:
        done = subprocess.run(
            [tclsh], input=STAND_INS + call + show, capture_output=True, text=True, check=True
        )
        assert done.stderr == ""
        return [line.split("\x1f") for line in done.stdout.splitlines()]
    tkinter = pytest.importorskip("tkinter", reason="no Tcl interpreter was found; install tcl")
    interpreter = tkinter.Tcl()
    interpreter.eval(STAND_INS + call)
    noted = interpreter.splitlist(interpreter.getvar("noted"))
    return [list(interpreter.splitlist(command)) for command in noted]


def test_the_packaging_script_runs_and_names_what_is_there(folder: Path) -> None:
    called = tcl_commands(folder)
    added = [Path(words[-1]).resolve() for words in called if words[0] == "add_files"]
    assert all(path.is_file() for path in added), added
    there = [*sources(folder), *(folder / "rtl" / "mem").glob("*.mem")]
    assert sorted(added) == sorted(path.resolve() for path in there)
    types = [w for w in called if w[:2] == ["set_property", "file_type"]]
    assert len(types) == len(list((folder / "rtl" / "mem").glob("*.mem")))
    assert ["set_property", "top", "nchw_ip", "current_fileset"] in called
    (package,) = [words for words in called if words[0] == "ipx::package_project"]
    assert package[1:3] == ["-root_dir", str(folder / "ip" / "packaged")]
    assert [words[0] for words in called[-2:]] == ["ipx::save_core", "close_project"]


def test_the_packaging_script_takes_a_folder(folder: Path, tmp_path: Path) -> None:
    called = tcl_commands(folder, str(tmp_path / "elsewhere"))
    (package,) = [words for words in called if words[0] == "ipx::package_project"]
    assert package[2] == str(tmp_path / "elsewhere")
