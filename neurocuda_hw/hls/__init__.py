"""C++ for Vitis HLS."""
