# A place of its own for a test: sourced by it. All of it is gone when the test's process has ended, in whatever way:
# processes, networks, mounts, files.
#   require_commands NAME ...      ends the test where one is missing: as skipped (77), in CI as failed.
#   isolate SCRATCH SCRIPT [ARG ...]  runs the script again in namespaces of its own (processes, mounts, network, host
#                                  name), as their process 1 and with a memory file system on SCRATCH that nobody else
#                                  sees, so that two can run at once; there it returns. Skips the test, with a reason,
#                                  where the machine does not permit that.
# shellcheck shell=bash

require_commands() {
  local name missing=()
  for name in "$@"; do command -v "$name" >/dev/null || missing+=("$name"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  echo "not found: ${missing[*]}; launch/install installs them"
  [ "${CI:-}" = true ] && exit 1
  exit 77
}

isolate() {
  local scratch=$1 refusal
  local apart=(unshare --mount --net --uts --ipc --pid --fork --kill-child --mount-proc --)
  shift
  if [ "${ISOLATED_ON:-}" = "$scratch" ]; then
    unset ISOLATED_ON
    trap 'exit 143' TERM INT
    mount -t tmpfs -o size=2G none "$scratch"
    return
  fi
  require_commands unshare ip mount
  mkdir -p "$scratch"
  # shellcheck disable=SC2016
  if ! refusal=$("${apart[@]}" bash -c 'mount -t tmpfs none "$1" && ip link add br0 type bridge &&
      ip link add v1 type veth peer name v2' -- "$scratch" 2>&1); then
    echo "skipped: namespaces, mounts and a network bridge need root and a kernel that permits them: $refusal"
    exit 77
  fi
  ISOLATED_ON=$scratch exec "${apart[@]}" "$@"
}
