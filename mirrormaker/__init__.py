"""MirrorMaker 2: configurations that people can deploy, a doctor for anyone's file, and a copy that is audited.

Public: the values of ``topology``; ``render_dedicated`` (one flow → its complete ``mm2.properties``) and ``render``
(any form, with its guarantee and the policies it needs); ``mirrormaker.doctor``, ``mirrormaker.audit``,
``mirrormaker.status``.
"""

from mirrormaker.render import Delivery, Deployment, Form, Rendered, StrimziDeployment, render, render_dedicated
from mirrormaker.topology import LOCAL_PACE, Cluster, Flow, IamAuth, NoAuth, Pace, ScramAuth, TlsAuth

__all__ = [
    "LOCAL_PACE",
    "Cluster",
    "Delivery",
    "Deployment",
    "Flow",
    "Form",
    "IamAuth",
    "NoAuth",
    "Pace",
    "Rendered",
    "ScramAuth",
    "StrimziDeployment",
    "TlsAuth",
    "render",
    "render_dedicated",
]
