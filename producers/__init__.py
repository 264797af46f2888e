"""Producers: whatever writes events to a topic."""
