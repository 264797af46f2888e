"""Schemas: the event and its contract. Pure: no I/O, no clock, nothing else of this project."""
