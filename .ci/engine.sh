#!/bin/bash
# A Docker Engine for CI. Usage: engine.sh start | stop
#
# start  does nothing when an engine answers; else installs Debian's docker.io if there is no dockerd, and runs it.
# stop   ends only the engine that start ran: found by its pid file, and only when that process is a dockerd.
set -euo pipefail

state=${FEED_ENGINE_DIR:-/run/changefeed-engine}
start_within_s=60
stop_within_s=30

answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

install_engine() {
  local packages=(docker.io iptables)
  # .ci/run has just updated the lists, with retries
  timeout 180 apt-get -qq update || true
  # from Debian 13 on the client is a package of its own
  if apt-cache policy docker-cli | grep Candidate: | grep -qv '(none)'; then packages+=(docker-cli); fi
  if ! DEBIAN_FRONTEND=noninteractive timeout 600 apt-get -qq -o Acquire::Retries=3 -y --no-install-recommends install "${packages[@]}" >"$state/install.log" 2>&1; then
    tail -20 "$state/install.log" >&2
    return 1
  fi
}

start() {
  if command -v docker >/dev/null && answers; then return; fi
  mkdir -p "$state"
  if ! { command -v dockerd && command -v docker; } >/dev/null; then install_engine; fi
  # where there is an init system, the package has started it
  if answers; then return; fi
  # in a session of its own: it outlives this script, and only its process id ends it
  setsid dockerd --pidfile "$state/pid" >"$state/log" 2>&1 </dev/null &
  local engine=$!
  for ((i = 0; i < start_within_s * 5; i++)); do
    if answers; then return; fi
    [ -e "/proc/$engine" ] || break
    sleep 0.2
  done
  echo "The Docker Engine did not answer within $start_within_s s; the end of its log ($state/log):" >&2
  tail -20 "$state/log" >&2
  return 1
}

stop() {
  local engine
  engine=$(cat "$state/pid" 2>/dev/null) || return 0
  [ "$(cat "/proc/$engine/comm" 2>/dev/null)" = dockerd ] || return 0
  kill "$engine" # it stops its containers, then its containerd, and removes the pid file
  for ((i = 0; i < stop_within_s * 5; i++)); do
    [ -e "/proc/$engine" ] || return 0
    sleep 0.2
  done
  echo "The Docker Engine (process $engine) has not ended within $stop_within_s s." >&2
  return 1
}

case "${1-}" in
  start | stop) "$1" ;;
  *) echo "usage: $0 start | stop" >&2; exit 2 ;;
esac
