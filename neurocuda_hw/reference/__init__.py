"""What a network must do: the integer reference in PyTorch, and the network as a module."""
