#!/usr/bin/env bash
# launch/bundle's file in a clean root: bundle_test.sh SCRATCH LCSC MAKE_TINY_PROJECT
# The root has the bundle, a shell and a few tools; no library but theirs, no network. The search in it finds what a search
# outside finds, with the root's C library and with the bundle's.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
source_root=$(cd "$here/../.." && pwd)
scratch=$1 lcsc=$2 make_tiny_project=$3
# shellcheck source=tests/cluster/isolation.sh
. "$here/isolation.sh"
isolate "$scratch" "$0" "$@"
ip link set lo up
root=$scratch/root

# install FILE ...: into the clean root, at the same places.
install() {
  local file
  for file in "$@"; do
    mkdir -p "$root${file%/*}"
    cp -L "$file" "$root$file"
  done
}

# install_tool NAME: a program with the libraries that it loads.
install_tool() {
  local program
  program=$(command -v "$1")
  mapfile -t libraries < <(ldd "$program" | grep -oE '/[^ ]+')
  install "$program" "${libraries[@]}"
}

# The files of the C library that every machine has.
install_libc() {
  mapfile -t libraries < <(ldd "$lcsc" | grep -oE '/[^ ]*/lib(c|m|mvec|dl|rt|pthread|resolv)\.so\.[0-9]+')
  install "${libraries[@]}"
}

make_clean_root() {
  local tool
  install_libc
  mkdir -p "$root"/{bin,dev,proc,sys,tmp,opt,project}
  for tool in sh bash dirname getconf id readlink setsid sha256sum; do install_tool "$tool"; done
  [ -x "$root/bin/sh" ] || ln -s ../usr/bin/sh "$root/bin/sh"
  [ -x "$root/bin/bash" ] || ln -s ../usr/bin/bash "$root/bin/bash"
  [ -x "$root/usr/bin/env" ] || install_tool env
  mknod -m 666 "$root/dev/null" c 1 3
  mknod -m 666 "$root/dev/urandom" c 1 9
  mkdir "$root/dev/shm"
  mount -t tmpfs none "$root/dev/shm"
  mount -t proc none "$root/proc"
  mount --rbind --make-rslave /sys "$root/sys"
}

# in_root COMMAND...: from the bundle's folder, with nothing of this environment.
# shellcheck disable=SC2016
in_root() {
  env --ignore-environment PATH=/usr/bin:/bin HOME=/tmp ${libc:+LCSC_LIBC="$libc"} "$(command -v chroot)" "$root" \
    bash -c 'cd /opt/lcsc-* && "$@"' -- "$@"
}

search_in_root() {
  local run=/project/run-${libc:-own}
  in_root launch/run --workers 2 search --config /project/search.ini --run "$run"
  in_root bin/lcsc status "$run" --json --candidates >"$scratch/${run##*/}.json"
  in_root bin/lcsc merge --run "$run" --output "$run/best.safetensors"
}

"$source_root/launch/bundle" --program "$lcsc" --output "$scratch/bundle.tar"
make_clean_root
echo "the clean root has $(find "$root" -xdev -type f | wc -l) files: $(cd "$root" && find . -xdev -type f -printf '%f ')"
tar --extract --file="$scratch/bundle.tar" --directory="$root/opt"
rm "$scratch/bundle.tar"
in_root sha256sum --quiet --check MANIFEST.sha256
in_root bin/lcsc --version

"$make_tiny_project" "$root/project"
sed -i "s|$root||; s/^epochs = .*/epochs = 3/" "$root/project/search.ini"
in_root bin/lcsc pack --checkpoints '/project/models/step-*.safetensors' --output /project/tiny.traj
for libc in "" bundled; do search_in_root; done

sed "s|= /project|= $root/project|" "$root/project/search.ini" >"$scratch/outside.ini"
"$lcsc" search --config "$scratch/outside.ini" --run "$scratch/outside" >/dev/null 2>&1
"$lcsc" status "$scratch/outside" --json --candidates >"$scratch/outside.json"
for run in own bundled; do python3 "$here/same_search.py" "$scratch/run-$run.json" "$scratch/outside.json"; done
echo "done in $SECONDS s"
