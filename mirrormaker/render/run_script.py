"""How a rendered flow is run so that a failed task does not stay failed: a script, and a unit that starts it again.

Neither MirrorMaker's own process nor a Connect worker starts a FAILED task again: the process lives on, looks well, and
copies nothing. So the script ends the process when a task has failed, and whatever supervises it (systemd, Docker,
Kubernetes) starts it anew, which nothing lost or repeated comes of: records and source offsets are one transaction.
"""

from __future__ import annotations

from mirrormaker.entries import comment_text
from mirrormaker.render.metrics import AGENT_VERSION, TASK_STATE, jmx_rules
from mirrormaker.topology import Flow

DEDICATED, CONNECT = "connect-mirror-maker.sh", "connect-distributed.sh"

_SCRIPT = r"""set -u
here=$(cd "$(dirname "$0")" && pwd)

# Kafka's folder, the agent, and where metrics are served; another machine can scrape them with METRICS_HOST=0.0.0.0
kafka=${KAFKA_HOME:-/opt/kafka}
agent=${JMX_AGENT:-/opt/jmx/jmx_prometheus_javaagent-%(version)s.jar}
host=${METRICS_HOST:-127.0.0.1}
port=${METRICS_PORT:-9404}

# How often tasks are looked at, how many looks in a row must be bad, and how long an orderly stop may take
look_every_s=${LOOK_EVERY_S:-10}
bad_looks=${BAD_LOOKS:-2}
stop_within_s=${STOP_WITHIN_S:-30}

# bad when a task has failed, or when a process that has answered before does not answer (it hangs)
looks_bad() {
  local state=silent line
  { exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null || { [ -n "$answered" ]; return; }
  printf 'GET /metrics?name[]=%(metric)s HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3 2>/dev/null
  while IFS= read -r -t 5 line <&3; do
    state=fine answered=yes
    case $line in %(metric)s{*state=\"failed\"*) state=$line; break ;; esac
  done
  exec 3>&-
  [ "$state" = fine ] && return 1
  [ "$state" = silent ] && [ -z "$answered" ] && return 1
  echo "run: $state" >&2
}

watch() { # PID
  trap '' PIPE # a process that closes the connection in the middle of a look must not end the watch
  local bad=0 answered=
  while sleep "$look_every_s" && kill -0 "$1" 2>/dev/null; do
    if looks_bad; then bad=$((bad + 1)); else bad=0; fi
    [ "$bad" -lt "$bad_looks" ] && continue
    echo "run: a task has failed or the process hangs; ending it, to be started again" >&2
    kill -TERM "$1"
    for ((waited = 0; waited < stop_within_s; waited++)); do sleep 1; kill -0 "$1" 2>/dev/null || return; done
    kill -KILL "$1"
    return
  done
}

# The process takes this script's place, so that signals and its exit code are its own; the watch stands beside it.
# Other arguments than none are the command to run, for whoever starts Java in another way.
watch $$ &
if [ $# -eq 0 ]; then
  export KAFKA_OPTS="${KAFKA_OPTS-} -javaagent:$agent=$host:$port:$here/%(base)s-jmx.yaml"
  set -- "$kafka/bin/%(program)s" %(arguments)s
fi
exec "$@"
"""


_UNIT = """\
[Unit]
Description=MirrorMaker 2, FLOW
After=network-online.target
Wants=network-online.target
# It may be started again for ever. Without it systemd gives up after five starts in ten seconds.
StartLimitIntervalSec=0

[Service]
ExecStart=/bin/bash /etc/feed-mirror/BASE-run.sh
# Started again whenever it ends, also when the script ended it for a failed task.
Restart=always
# The pause between two starts. Without it 100 ms: a record that cannot be copied would keep the machine busy.
RestartSec=5
# Secrets, as variables that the configuration names. A dash: the file may be absent.
EnvironmentFile=-/etc/feed-mirror/BASE.env
# An orderly stop commits what was polled. Without it 90 s.
TimeoutStopSec=60
DynamicUser=yes

[Install]
WantedBy=multi-user.target
"""


def run_files(flow: Flow, *, program: str, arguments: str) -> dict[str, str]:
    """How a form's process is run: the agent's rules, the script, and a unit that starts it again. By name.

    Args:
        flow: whose process it is.
        program: Kafka's own script.
        arguments: of that script, in the shell's words.
    """
    base = f"{flow.source.name}-{flow.target.name}"
    return {
        f"{base}-jmx.yaml": jmx_rules(flow),
        f"{base}-run.sh": run_script(flow, program=program, arguments=arguments),
        f"{base}-mirror.service": systemd_unit(flow),
    }


def run_script(flow: Flow, *, program: str, arguments: str) -> str:
    """The script that runs one flow's process; see :func:`run_files`."""
    header = (
        f"Runs {flow.name}, and ends it when a task has failed. Written by feed mirror render.\n"
        "Kafka never starts a FAILED task again: the process lives on and copies nothing. This script asks its own "
        "metrics every ten seconds and ends the process then, with a code that is not 0; let systemd "
        "(Restart=always), Docker (restart: always) or Kubernetes start it again. It needs bash and nothing else."
    )
    body = _SCRIPT % {
        "version": AGENT_VERSION,
        "metric": TASK_STATE,
        "base": f"{flow.source.name}-{flow.target.name}",
        "program": program,
        "arguments": arguments,
    }
    return "#!/usr/bin/env bash\n" + comment_text(header) + body


def systemd_unit(flow: Flow) -> str:
    """A unit that starts the script, and starts it again whenever it ends."""
    base = f"{flow.source.name}-{flow.target.name}"
    header = (
        f"{flow.name} as a service of systemd. Written by feed mirror render.\n"
        f"Put the {base}-* files into /etc/feed-mirror, this one into /etc/systemd/system."
    )
    return comment_text(header) + _UNIT.replace("FLOW", flow.name).replace("BASE", base)
