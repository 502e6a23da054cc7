# Sourced by launch/run and cluster/search.sbatch.
# lcsc_program ROOT: prints where lcsc is: what LCSC names, else bin/lcsc of an unpacked bundle, else what launch/build
# built. Fails with a message when it is not there.
# mpirun_program ROOT: prints the mpirun that belongs to it: an unpacked bundle's unless LCSC_MPI is "site".
# shellcheck shell=bash
lcsc_program() {
  local program=${LCSC:-}
  if [ -z "$program" ]; then
    program=$1/bin/lcsc
    [ -x "$program" ] || program=$1/build/release/src/app/lcsc
  fi
  [ -x "$program" ] || { echo "${0##*/}: $program is missing; build it with launch/build" >&2; return 2; }
  printf '%s' "$program"
}

mpirun_program() {
  if [ -x "$1/bin/mpirun" ] && [ "${LCSC_MPI:-bundled}" != site ]; then
    printf '%s' "$1/bin/mpirun"
  else
    printf mpirun
  fi
}
