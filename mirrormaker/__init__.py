"""MirrorMaker 2: configurations that people can deploy, a doctor for anyone's file, and a copy that is audited.

Public: the values of ``topology`` and ``render_dedicated`` (one flow → its complete ``mm2.properties``).
"""

from mirrormaker.render import render_dedicated
from mirrormaker.topology import LOCAL_PACE, Cluster, Flow, IamAuth, NoAuth, Pace, ScramAuth, TlsAuth

__all__ = ["LOCAL_PACE", "Cluster", "Flow", "IamAuth", "NoAuth", "Pace", "ScramAuth", "TlsAuth", "render_dedicated"]
