"""Topology → complete configuration files, in each form that people deploy. Pure: values in, text out."""

from mirrormaker.render.dedicated import render_dedicated
from mirrormaker.render.forms import GUARANTEES, Delivery, Deployment, Form, Guarantee, Rendered, names_of, render
from mirrormaker.render.metrics import AGENT_VERSION, TASK_STATE
from mirrormaker.render.strimzi import StrimziDeployment

__all__ = [
    "AGENT_VERSION",
    "GUARANTEES",
    "TASK_STATE",
    "Delivery",
    "Deployment",
    "Form",
    "Guarantee",
    "Rendered",
    "StrimziDeployment",
    "names_of",
    "render",
    "render_dedicated",
]
