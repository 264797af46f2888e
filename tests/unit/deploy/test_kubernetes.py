"""The manifests and the image's recipe in `deploy/`, against the command, its configuration and its bounds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from consumers.runtime import RuntimeSettings
from feed.cli import app
from feed.config import load_config
from feed.rights import process_names
from feed.run.control_store import STOP_BOUND_S
from tests.unit.cli.test_help import commands

ROOT = Path(__file__).parents[3]
CONFIG = load_config(ROOT / "deploy/feed.yaml")
FILES = sorted((ROOT / "deploy/kubernetes").glob("*.yaml"))
OBJECTS = [(file.stem, each) for file in FILES for each in yaml.safe_load_all(file.read_text(encoding="utf-8"))]
DEPLOYMENTS = [(region, each) for region, each in OBJECTS if each["kind"] == "Deployment"]
COMMANDS = dict(commands(typer.main.get_command(app)))


def name_of(deployment: dict[str, Any]) -> str:
    return str(deployment["metadata"]["name"]).removeprefix("feed-")


@pytest.mark.parametrize(
    "region, deployment", DEPLOYMENTS, ids=lambda each: name_of(each) if isinstance(each, dict) else ""
)
def test_a_deployment_runs_a_process_of_the_feed(region: str, deployment: dict[str, Any]) -> None:
    """Its arguments are a command's, in the process's own region, with a role that `feed rights` knows."""
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    words = container["args"]
    command = max((name for name in COMMANDS if f"feed {' '.join(words)} ".startswith(f"{name} ")), key=len)
    rest = words[len(command.split()) - 1 :]
    known = {option for parameter in COMMANDS[command].params for option in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= known
    assert name_of(deployment) in process_names(CONFIG)
    accounts = {
        each["metadata"]["name"]: each
        for where, each in OBJECTS
        if each["kind"] == "ServiceAccount" and where == region
    }
    role = accounts[pod["serviceAccountName"]]["metadata"]["annotations"]["eks.amazonaws.com/role-arn"]
    assert role.endswith(deployment["metadata"]["name"])
    assert pod["serviceAccountName"] == deployment["metadata"]["name"]
    if command == "feed run producer":
        assert region == CONFIG.table.region
    elif command == "feed run consumer":
        assert region == CONFIG.consumers[rest[0]].region
        assert deployment["spec"]["replicas"] <= CONFIG.topic.partitions
    else:
        assert rest[rest.index("--region") + 1] == region


@pytest.mark.parametrize(
    "region, deployment", DEPLOYMENTS, ids=lambda each: name_of(each) if isinstance(each, dict) else ""
)
def test_a_deployment_keeps_what_the_process_expects(region: str, deployment: dict[str, Any]) -> None:
    """Its port and pages are those of the telemetry, and it is given the time that an orderly end may take."""
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["ports"] == [{"name": "telemetry", "containerPort": CONFIG.telemetry.port}]
    assert CONFIG.telemetry.host == "0.0.0.0"
    assert container["livenessProbe"]["httpGet"]["path"] == "/metrics"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    orderly_s = RuntimeSettings().revoke_budget_ms / 1_000 + STOP_BOUND_S
    assert pod["terminationGracePeriodSeconds"] > orderly_s
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_every_process_of_the_feed_is_deployed_once() -> None:
    """What runs for long has a deployment, and in one region."""
    by_hand = {"snapshot", "topics", "look"}
    deployed = [name_of(deployment) for _, deployment in DEPLOYMENTS]
    assert sorted(deployed) == sorted(set(process_names(CONFIG)) - by_hand)


def test_the_image_holds_every_package_and_starts_the_command() -> None:
    """The recipe copies the six packages and what a build of the wheel needs, and nothing is kept from it."""
    recipe = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (packages,) = re.findall(r"targets\.wheel\]\nonly-include = (\[.*\])", project)
    sent = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for name in [*yaml.safe_load(packages), "pyproject.toml", "uv.lock", "README.md", "LICENSE"]:
        assert re.search(rf"^COPY .*\b{re.escape(name)}\b", recipe, re.MULTILINE), name
        assert f"!{name}" in sent
    assert 'ENTRYPOINT ["feed"]' in recipe
    assert "FEED_CONFIG=/etc/feed/feed.yaml" in recipe
