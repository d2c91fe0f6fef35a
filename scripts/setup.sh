#!/bin/sh
# Installs what a checkout needs on Debian 12: host programs, npm packages (with Node 24), the guest agent. Does only what is missing.
set -eu
cd "$(dirname "$0")/.."

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

missing=
need() { # PROGRAM PACKAGE
  PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need qemu-system-x86_64 qemu-system-x86
need mmdebstrap mmdebstrap
need mksquashfs squashfs-tools
need sqfs2tar squashfs-tools-ng
need mkfs.ext4 e2fsprogs
need skopeo skopeo
need xz xz-utils
need dpkg-deb dpkg
need unshare util-linux
# For VMs with a network card, and for tests of it.
need ip iproute2
need nft nftables
# For 'firebreak vm ssh' and 'ssh-config'.
need ssh openssh-client
need cc gcc
# For tests of images: a registry, and a program that needs nothing else in a VM.
need docker-registry docker-registry
[ -e /bin/busybox ] || missing="$missing busybox-static"
# For tests of egress: a database, whose programs are in nobody's PATH.
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
# For tests of the dashboard: a browser.
need chromium chromium
# For 'firebreak kernel build'.
need bc bc
need bison bison
need flex flex
[ -e /usr/include/gelf.h ] || missing="$missing libelf-dev"
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing="$missing debian-archive-keyring"
if [ "$(id -u)" != 0 ]; then need newuidmap uidmap; fi
if [ -n "$missing" ]; then
  echo "setup: installing$missing"
  as_root apt-get update -q
  # shellcheck disable=SC2086 # the list is split on purpose
  DEBIAN_FRONTEND=noninteractive as_root apt-get install -q -y --no-install-recommends $missing
fi

if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  echo "setup: installing npm packages"
  npm ci --no-audit --no-fund --loglevel=error
  touch node_modules/.package-lock.json
fi

# The dashboard, when something that it is built from is newer than what is there.
built=dashboard/dist/.built
if [ ! -e $built ] || [ -n "$(find dashboard/index.html dashboard/vite.config.ts dashboard/public dashboard/src package-lock.json -newer $built -print -quit)" ]; then
  echo "setup: building the dashboard"
  rm -f $built
  node_modules/.bin/node node_modules/vite/bin/vite.js build --config dashboard/vite.config.ts --logLevel warn
  touch $built
fi

command -v cargo >/dev/null 2>&1 || { echo "setup: a Rust toolchain is missing; install one with rustup (rustup.rs) or apt-get install cargo" >&2; exit 1; }
if [ ! -e guest-agent/target/x86_64-unknown-linux-gnu/release/firebreak-agent ]; then echo "setup: building the guest agent (a minute or two)"; fi
(cd guest-agent && cargo build --release --locked --quiet)
echo "setup: done"
