"""Configuration: one typed ``feed.yaml``, checked as a whole before anything starts.

Promises: unknown keys are refused with the nearest known one, every fault is one sentence with its line, secrets are
never printed, and the process's environment is read here only.
"""

from feed.config.load import config_file, environment, load_config, masked, parse_config, revealed
from feed.config.root import FeedConfig
from feed.config.topics import topic_specs

__all__ = [
    "FeedConfig",
    "config_file",
    "environment",
    "load_config",
    "masked",
    "parse_config",
    "revealed",
    "topic_specs",
]
