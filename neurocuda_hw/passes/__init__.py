"""Pure functions from a network to a plan: where events go, memory layouts, lanes, cycles."""
