"""What a network is compiled for."""
