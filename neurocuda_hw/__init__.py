"""neurocuda_hw: a trained PyTorch model in, spiking hardware that provably computes it out."""
