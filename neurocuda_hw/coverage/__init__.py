"""Which single-bit faults of a network's integers its golden spikes would show."""
