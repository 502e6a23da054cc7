#!/usr/bin/env bash
# shell_lint_test.sh ROOT: shellcheck finds nothing in any shell script, and none of them evaluates text as commands.
set -euo pipefail
cd "$1"

if ! command -v shellcheck >/dev/null; then
  echo "not found: shellcheck; launch/install installs it"
  [ "${CI:-}" = true ] && exit 1
  exit 77
fi
mapfile -t scripts < <(grep -rlE --exclude='*.md' '^#!.*\b(ba)?sh$|^# shellcheck shell=' .ci cluster launch tests | sort)
[ ${#scripts[@]} -ge 12 ] || { echo "expected a dozen scripts, found ${#scripts[@]}: ${scripts[*]}"; exit 1; }
shellcheck --external-sources --source-path=. "${scripts[@]}"
if grep -nE '(^|[;&|(]|\bthen|\bdo|\belse)[[:space:]]*eval\b' "${scripts[@]}"; then
  echo "expected no eval"
  exit 1
fi
echo "${#scripts[@]} scripts are clean"
