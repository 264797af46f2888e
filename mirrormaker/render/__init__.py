"""Topology → complete configuration files, in each form that people deploy. Pure: values in, text out."""

from mirrormaker.render.dedicated import render_dedicated

__all__ = ["render_dedicated"]
