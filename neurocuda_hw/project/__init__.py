"""A build folder: written, checked against the golden trace, its record kept."""
