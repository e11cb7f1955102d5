"""The network as synthesizable hardware: Amaranth components, and the Verilog they become."""
