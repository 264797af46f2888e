"""Consumers: a runtime that loses nothing, and one folder per sink."""
