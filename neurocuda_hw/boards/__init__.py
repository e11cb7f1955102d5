"""Boards: pins, clocks, and a bitstream of a network behind a serial line."""
