"""Fixtures for tests with real parts."""
