"""``feed mirror`` from the outside."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from feed.cli.mirror import app
from schemas.errors import ConfigError

RUN = CliRunner()
FEED = """
feed: orders
table: {name: orders, region: eu, key: [orderId], image_schema: order}
regions:
  eu: {kafka: {bootstrap_servers: "eu:9098", auth: {kind: iam, aws_region: eu-west-1}}, aws: {region: eu-west-1}}
  us:
    kafka: {bootstrap_servers: "us:9096", auth: {kind: scram, username: mirror, password: hunter2}}
    aws: {region: us-east-1}
  ap:
    kafka:
      bootstrap_servers: "ap:9094"
      auth: {kind: tls, ca_file: /etc/ca.pem, certificate_file: /etc/me.pem, key_file: /etc/me.key, key_password: hush}
    aws: {region: ap-southeast-2}
mirrors:
  - {target: us, tasks: 6, source_bootstrap_servers: "eu.example:9198"}
  - {target: ap}
"""
ARN = "arn:aws:kafka:eu-west-1:123456789012:cluster/feed/1-1"


@pytest.fixture
def feed_yaml(tmp_path: Path) -> str:
    """A feed.yaml with each kind of login."""
    file = tmp_path / "feed.yaml"
    file.write_text(FEED)
    return str(file)


def test_render_writes_each_flow(feed_yaml: str, tmp_path: Path) -> None:
    """Each mirror of feed.yaml becomes its file, with its logins and without their secrets."""
    options = ["render", "-c", feed_yaml, "--out", str(tmp_path / "out")]
    done = RUN.invoke(app, options)
    assert isinstance(done.exception, ConfigError), "a policy for a cluster on IAM needs its ARN"
    done = RUN.invoke(app, [*options, "--source-arn", ARN])
    assert done.exit_code == 0, done.output
    us = (tmp_path / "out" / "eu-us-mm2.properties").read_text()
    assert "eu.bootstrap.servers = eu.example:9198" in us
    assert "tasks.max = 6" in us
    assert 'password="${env:US_KAFKA_PASSWORD}"' in us
    ap = (tmp_path / "out" / "eu-ap-mm2.properties").read_text()
    assert "ap.ssl.key.password = ${env:AP_KAFKA_KEY_PASSWORD}" in ap
    everything = "".join(file.read_text() for file in (tmp_path / "out").iterdir())
    assert "hunter2" not in everything
    assert "hush" not in everything


def test_a_weaker_form_must_be_accepted(feed_yaml: str) -> None:
    """MSK Replicator is refused without --accept-duplicates."""
    done = RUN.invoke(app, ["render", "-c", feed_yaml, "--form", "msk-replicator", "--region", "us"])
    assert isinstance(done.exception, ConfigError)
    assert "--accept-duplicates" in done.exception.hint


def test_an_unknown_region_names_the_known(feed_yaml: str) -> None:
    """A mirror that is not there is one sentence, with those that are."""
    done = RUN.invoke(app, ["render", "-c", feed_yaml, "--region", "uk"])
    assert isinstance(done.exception, ConfigError)
    assert "us, ap" in done.exception.hint


def test_doctor_exit_codes_and_json(tmp_path: Path) -> None:
    """0 below the threshold, 1 at it; JSON has a line, an effect and a fix for each finding."""
    file = tmp_path / "mm2.properties"
    file.write_text("clusters = a, b # two\na->b.enabled = true\na.bootstrap.servers = x\n")
    assert RUN.invoke(app, ["doctor", str(file)]).exit_code == 1
    done = RUN.invoke(app, ["doctor", str(file), "--json", "--no-advice"])
    found = json.loads(done.stdout)
    inline = next(finding for finding in found if finding["code"] == "MM01")
    assert (inline["line"], inline["key"], inline["fix"].split(".")[0]) == (
        1,
        "clusters",
        "Write `clusters = a, b`",
    )
    assert all(finding["severity"] != "advice" for finding in found)


def test_doctor_reads_standard_input() -> None:
    """``-`` is a file too."""
    done = RUN.invoke(app, ["doctor", "-", "--fail-on", "loss"], input="clusters = a, b\n")
    assert done.exit_code == 0
    assert "MM48" in done.output


def test_a_missing_file_is_a_sentence() -> None:
    """No traceback for a file that is not there."""
    done = RUN.invoke(app, ["doctor", "/no/such/file"])
    assert isinstance(done.exception, ConfigError)


def test_explain_prints_herders_and_origins(tmp_path: Path) -> None:
    """What would start, with the line that decided each setting."""
    file = tmp_path / "mm2.properties"
    file.write_text("clusters = a, b\na->b.enabled = true\nemit.heartbeats.enabled = false\nb.producer.acks = 1\n")
    done = RUN.invoke(app, ["explain", str(file)])
    assert "a->b (dedicated, not exactly once)" in done.output
    assert f"acks = 1  [{file}:4]" in done.output
