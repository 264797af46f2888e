"""Run: the long-running processes of a feed, wired from the configuration."""
