"""``feed demo`` and ``feed up``: three regions on this machine with the whole feed on them.

What it promises:

* one command sets everything up, runs the main job, proves the outcome with :mod:`feed.verify`, and cleans up;
* what is shown is measured by readers and clocks of its own (the probes, the ledger) or scraped from ``/metrics``;
* every wait has a bound, and what did not arrive within it is named;
* nothing is left running, in whatever way it ends.
"""
