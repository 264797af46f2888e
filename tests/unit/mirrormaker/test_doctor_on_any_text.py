"""Whatever text the doctor is given, it ends soon, with findings that have a line, or with an error that says why."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrormaker.doctor import LATEST, diagnose, explain
from mirrormaker.doctor.bounds import MAX_BYTES
from mirrormaker.doctor.known import known_keys
from schemas.errors import ConfigError

SECONDS = 20.0
"""Of one text, on a machine that does other things as well; most take a millisecond."""

KEYS = sorted(known_keys(LATEST).of("source", "worker", "producer", "consumer"))
PREFIXES = ("", "a.", "b.", "a->b.", "b->a.", "a.consumer.", "b.producer.override.", "source.consumer.", "*")
VALUES = (
    "true",
    "false",
    "1",
    "-1",
    "a, b",
    "a,b # both",
    "ü",
    "\\d+",
    "(a+)+$",
    "${env:X}",
    "x\\",
    "\\u00e9",
    "[",
    "",
)
ENDS = ("\n", "\r\n", "\\\n  ", "\n# a comment\n", "\n! another\n\n", "\r")
SEPARATORS = (" = ", "=", ":", " ", "\t=\t")

lines = st.tuples(
    st.sampled_from(PREFIXES), st.sampled_from(KEYS), st.sampled_from(SEPARATORS), st.sampled_from(VALUES)
).map("".join)
properties = st.tuples(
    st.sampled_from(("", "\ufeff", "\ufeff# first\n", "clusters = a, b\n", "clusters: a b\r\na->b.enabled true\n")),
    st.lists(st.tuples(lines, st.sampled_from(ENDS)).map("".join), max_size=12).map("".join),
).map("".join)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.sampled_from(VALUES), st.text(max_size=5))
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from((*KEYS[:20], "spec", "config", "mirrors", "source", "alias")), inner, max_size=4
        ),
    ),
    max_leaves=12,
)
connectors = st.fixed_dictionaries(
    {"connector.class": st.sampled_from(("MirrorSourceConnector", "org.x.MirrorCheckpointConnector"))},
    optional={"tasks.max": scalars, "topics": scalars, "header.converter": trees, "source.cluster.alias": scalars},
)
resources = st.fixed_dictionaries(
    {"kind": st.just("KafkaMirrorMaker2"), "apiVersion": st.sampled_from(("kafka.strimzi.io/v1", "x/v1beta2", "v1"))},
    optional={"spec": trees, "metadata": trees},
)
mirrors = st.fixed_dictionaries(
    {"kind": st.just("KafkaMirrorMaker2"), "apiVersion": st.just("kafka.strimzi.io/v1")},
    optional={
        "spec": st.fixed_dictionaries(
            {},
            optional={
                "version": st.sampled_from(("3.9.0", "99.1", "0.1", "x", 4.3)),
                "target": trees,
                "clusters": trees,
                "mirrors": st.lists(
                    st.fixed_dictionaries(
                        {}, optional={"source": trees, "sourceConnector": trees, "topicsPattern": trees}
                    ),
                    max_size=3,
                ),
            },
        )
    },
)
policies = st.fixed_dictionaries({"Statement": trees}, optional={"Version": scalars})
documents = st.one_of(
    st.tuples(st.just("worker.json"), st.one_of(connectors, connectors.map(lambda one: {"config": one}), trees)),
    st.tuples(st.just("mirror.yaml"), st.one_of(resources, mirrors)),
    st.tuples(st.just("policy.json"), policies),
).map(lambda pair: (pair[0], json.dumps(pair[1])))


def judge(name: str, text: str) -> str:
    """Diagnoses and explains; what it says about the text, ready to be printed."""
    begin = time.monotonic()
    try:
        report = diagnose({name: text})
        said = report.as_text() + str(explain({name: text})) + json.dumps(report.as_json())
        last = len(text.splitlines()) + 1
        assert all(1 <= finding.line <= last for finding in report.findings)
    except ConfigError as error:
        said = f"{error} {error.hint}"
    assert name in said or said.startswith("Nothing found")
    assert time.monotonic() - begin < SECONDS
    return said


@settings(max_examples=150, deadline=None)
@given(properties)
def test_lines_that_look_like_properties(text: str) -> None:
    """Real keys in any place, byte order marks, line ends and continuations of every kind, values of every kind."""
    judge("mm2.properties", text)


@settings(max_examples=150, deadline=None)
@given(documents)
def test_trees_that_look_like_resources(document: tuple[str, str]) -> None:
    """Connectors, KafkaMirrorMaker2 and IAM policies whose parts have any shape."""
    judge(*document)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(("x.properties", "x.json", "x.yaml", "-")),
    st.one_of(st.text(max_size=300), st.text("{}[]:,&*<!|>-'\"\\#% \n\tab", max_size=80)),
)
def test_garbage(name: str, text: str) -> None:
    """Any letters, and the signs that mean something to YAML and JSON in any order."""
    judge(name, text)


RESOURCE = "apiVersion: kafka.strimzi.io/v1\nkind: KafkaMirrorMaker2\n"
MIRROR = "clusters = a, b\na->b.enabled = true\n"
CONNECTOR = '{"config": {"connector.class": "MirrorSourceConnector", %s}}'
LAUGHS = "".join(
    f"{name}: &{name} [{','.join(9 * [f'*{of}'])}]\n" for of, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "name, text, says",
    [
        ("self.yaml", f"{RESOURCE}spec: &self\n  target: *self\n", "more keys or levels"),
        ("laughs.yaml", f"{RESOURCE}a: &a [x, x]\n{LAUGHS}", "more keys or levels"),
        ("deep.yaml", f"{RESOURCE}spec: {'[' * 50_000}", "line 3: more than 60 levels"),
        ("deep.json", f"{'[' * 50_000}{']' * 50_000}", "levels"),
        ("tab.yaml", f"{RESOURCE}spec:\n\tversion: 3.9.0\n", "line 4"),
        ("comment.json", '{\n  // why\n  "connector.class": "MirrorSourceConnector"}', "comment.json, line 2"),
        ("comma.json", CONNECTOR % "", "comma.json, line 1"),
        ("mark.json", "\ufeff" + CONNECTOR % '"a": 1', "BOM"),
        ("half.properties", f"{MIRROR}x = \\u00zz\n", "half.properties, line 3"),
        ("joined.properties", MIRROR + "k = x\\\n" * 50_000, "joined.properties, line 3"),
        ("keys.properties", MIRROR + "".join(f"key.{number} = 1\n" for number in range(20_000)), "more keys"),
        ("keys.json", CONNECTOR % ", ".join(f'"key.{number}": 1' for number in range(20_000)), "more keys"),
        ("pairs.properties", f"clusters = {','.join(map(str, range(2_000)))}\n", "line 1: 2000 clusters"),
        ("huge.properties", MIRROR + "#" * MAX_BYTES, "larger than a configuration"),
        ("slow.properties", f"{MIRROR}config.properties.exclude = ([a-z.]+)+!\ntopics = (o+r*d*)*z\n", "MM14"),
        ("line.properties", f"{MIRROR}k = {'x' * 500_000}\n", "MM42"),
        ("emoji.json", CONNECTOR % r'"topics": "\ud83d\ude00"', "MM20"),
        ("empty.properties", "", "neither clusters"),
    ],
)
def test_texts_that_took_for_ever_or_fell(name: str, text: str, says: str) -> None:
    """Each of these once hung, overran the stack, was read as something else, or had no line in its error."""
    assert says in judge(name, text)


def test_merged_mappings_are_read() -> None:
    """What kubectl takes from an anchor by `<<`, the doctor sees as well."""
    text = (
        f"{RESOURCE}x: &worker {{exactly.once.source.support: enabled}}\nspec:\n  target:\n    alias: us\n    config:\n"
    )
    text += "      <<: *worker\n  mirrors:\n    - source: {alias: eu}\n      sourceConnector: {tasksMax: 4}\n"
    assert "MM09" not in {finding.code for finding in diagnose({"mirror.yaml": text}).findings}
