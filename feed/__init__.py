"""Feed: what a person runs. The command, the configuration, three regions on one machine, verify, and the demo."""
