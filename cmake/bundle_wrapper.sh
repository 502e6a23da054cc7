#!/bin/sh
# Runs a program of this bundle with the bundle's own libraries, from wherever the bundle lies: bin/lcsc, and the Open
# MPI that it was built with (bin/mpirun, bin/orted, bin/ompi_info).
#   LCSC_MPI=site      bin/lcsc takes the site's libmpi.so.40 (Open MPI 4.x), which the loader must find, and its mpirun
#   LCSC_LIBC=bundled  the C library of the machine that made the bundle; it is taken anyway where the machine's own is older
here=$(readlink -f "$0")
root=${here%/bin/*}

libraries=$root/lib
if [ "${LCSC_MPI:-bundled}" != site ]; then
  libraries=$root/lib:$root/mpi/lib
  export PATH="$root/bin:$PATH"
  export OPAL_PREFIX="$root/mpi" OPAL_LIBDIR="$root/mpi/lib" OPAL_PKGLIBDIR="$root/mpi/plugins"
  export OPAL_PKGDATADIR="$root/mpi/share" OPAL_SYSCONFDIR="$root/mpi/etc"
  export PMIX_PKGLIBDIR="$root/mpi/pmix/plugins" PMIX_PKGDATADIR="$root/mpi/pmix/share"
  # The other nodes' daemons.
  export OMPI_MCA_orte_launch_agent="$root/bin/orted"
fi

# Open MPI ends where it finds neither ssh nor rsh, even where it needs none: any program will do then.
if ! command -v ssh >/dev/null && ! command -v rsh >/dev/null; then
  export OMPI_MCA_plm_rsh_agent="${OMPI_MCA_plm_rsh_agent:-/bin/sh}"
fi

# The site's own C library, unless it is older than what the bundle was made with.
libc_minor=$(getconf GNU_LIBC_VERSION 2>/dev/null) || libc_minor=
libc_minor=${libc_minor##*.}
loader=@LOADER@
if [ "${LCSC_LIBC:-}" = bundled ] || [ "${libc_minor:-0}" -lt @GLIBC@ ]; then
  loader=$root/libc/${loader##*/}
  libraries=$libraries:$root/libc
fi

# The launchers' libraries are named to the loader alone: their environment reaches programs of the site, srun and ssh.
run() { exec "$loader" --library-path "$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "$@"; }

case ${here##*/} in
  mpirun) run "$root/mpi/bin/orterun" "$@" ;;
  orted | ompi_info) run "$root/mpi/bin/${here##*/}" "$@" ;;
esac
[ "$loader" = @LOADER@ ] || run "$root/libexec/lcsc" "$@"
export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
exec "$root/libexec/lcsc" "$@"
