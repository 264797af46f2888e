"""Topology → complete configuration files, in each form that people deploy. Pure: values in, text out."""

from mirrormaker.render.dedicated import render_dedicated
from mirrormaker.render.forms import GUARANTEES, Delivery, Deployment, Form, Guarantee, Rendered, names_of, render
from mirrormaker.render.strimzi import StrimziDeployment

__all__ = [
    "GUARANTEES",
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
