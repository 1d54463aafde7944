# What up, down and within have in common; sourced. State is kept in a folder: $WINNOW_FLINK_STATE, or .tools/flink-run.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
top=$(dirname "$(dirname "$here")")
flink=${WINNOW_FLINK_HOME:-$top/.tools/flink}
state=$(realpath -m "${WINNOW_FLINK_STATE:-$top/.tools/flink-run}")
python=${WINNOW_PYTHON:-$top/.venv/bin/python}

# Every process of a cluster, the workers that its services start included, inherits a variable with a random value. Ids alone
# would not do: a number may have gone to somebody else's process, and workers outlive the task manager that started them.
mark="WINNOW_FLINK_MARK=$(cat "$state/mark" 2>/dev/null || true)"

fail() {
  echo "flink: $1" >&2
  exit 1
}

# all_of_ours: the ids of all processes of this cluster.
all_of_ours() {
  [ "$mark" = WINNOW_FLINK_MARK= ] || grep -lzxF "$mark" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3 || true
}

# pid_of NAME: the id of a service, if it lives.
pid_of() {
  local pid
  pid=$(sed -n "s/^$1 //p" "$state/pids" 2>/dev/null | tail -n 1)
  if [ -n "$pid" ] && grep -qzxF "$mark" "/proc/$pid/environ" 2>/dev/null; then echo "$pid"; fi
}

# inside COMMAND…: become a command in the cluster's network.
inside() {
  local pid as=()
  pid=$(pid_of network)
  [ -n "$pid" ] || fail "no cluster is up; start it: make flink-up"
  [ "$(readlink "/proc/$pid/ns/net")" != "$(readlink /proc/self/ns/net)" ] || fail "the cluster has no network of its own"
  [ "$(id -u)" -eq 0 ] || as=(--user --preserve-credentials)
  exec nsenter --target "$pid" "${as[@]}" --net -- "$@"
}
