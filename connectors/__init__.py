"""Connectors: the outside world, one module or folder per system. Nothing else talks to a network."""
