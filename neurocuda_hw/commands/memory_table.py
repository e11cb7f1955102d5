"""The table of memories: what each layer keeps in block memories, UltraRAM and look-up tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neurocuda_hw.commands.console import print_table, say

if TYPE_CHECKING:
    from neurocuda_hw.passes.devices import Device
    from neurocuda_hw.passes.mapping import Memory, Style
    from neurocuda_hw.passes.memories import Use
    from neurocuda_hw.passes.study import Study


def memory_facts(study: Study, device: Device) -> dict[str, Any]:
    """Every memory of a design, and block memories by layer and use, as plain values."""
    from neurocuda_hw.passes.area import memory_area
    from neurocuda_hw.passes.memories import Use, branches_of, layer_memories, shared_memories

    family = device.family
    found: dict[str, list[tuple[Use, Memory, Style | None]]] = {}
    for name, plan in study.plans.items():
        memories, styles = layer_memories(plan, branches_of(study.network, name)), plan.ways.styles
        found[name] = [(use, memory, styles.get(memory.name)) for use, memory in memories]
    shared = shared_memories(study.network, study.bursts)
    found["(shared)"] = [(Use.QUEUES, memory, None) for memory in shared]
    layers = []
    for name, held in found.items():
        uses = dict.fromkeys((use.value for use in Use), 0.0)
        rows: list[dict[str, Any]] = []
        for use, memory, style in held:
            area = memory_area(memory, family, style)
            uses[use.value] += area.blocks
            rows.append(
                {
                    "name": memory.name,
                    "use": use.value,
                    "words": memory.depth,
                    "bits": memory.width,
                    "style": style.value if style else "auto",
                    "blocks": area.blocks,
                    "ultras": area.ultras,
                    "luts": round(area.luts),
                }
            )
        sums = {what: sum(row[what] for row in rows) for what in ("blocks", "ultras", "luts")}
        layers.append({"name": name, "uses": uses, "memories": rows, **sums})
    return {
        "device": device.name,
        "block": family.block_name,
        "layers": layers,
        "blocks": sum(layer["blocks"] for layer in layers),
        "ultras": sum(layer["ultras"] for layer in layers),
        "there": {"blocks": device.blocks, "ultras": device.ultras},
    }


def show_memories(facts: dict[str, Any]) -> None:
    """The table, with the sum of all layers."""
    block, there = facts["block"], facts["there"]
    uses = list(facts["layers"][0]["uses"])
    rows = [
        (
            layer["name"],
            *(f"{layer['uses'][use]:g}" for use in uses),
            f"{layer['blocks']:g}",
            layer["ultras"],
            layer["luts"],
        )
        for layer in facts["layers"]
    ]
    sums = [sum(layer["uses"][use] for layer in facts["layers"]) for use in uses]
    luts = sum(layer["luts"] for layer in facts["layers"])
    total = f"{facts['blocks']:g}"
    rows.append(("total", *(f"{s:g}" for s in sums), total, facts["ultras"], luts))
    columns = ("population", *(f">{use}" for use in uses), f">{block}", ">UltraRAM", ">LUT")
    print_table(f"Memories in {facts['device']}, {block} by use", columns, rows)
    say(
        f"{total} of {there['blocks']:,} {block}, {facts['ultras']:,} of {there['ultras']:,} "
        f"UltraRAM; LUT are those that hold bits or choose among parts of a memory."
    )
