"""Programs that talk to the hardware over a serial line, without torch."""
