"""Running what was emitted: test benches, Verilator, designs broken on purpose."""
