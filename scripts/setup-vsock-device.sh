#!/bin/sh
# Builds the vsock device that QEMU needs for guests behind a Firecracker of the tests. Where it cannot be built, those tests are skipped, by name.
set -eu
cd "$(dirname "$0")/.."

VERSION=0.3.0
tools=guest-agent/target/tools
[ ! -x $tools/bin/vhost-device-vsock ] || exit 0
echo "setup: building vhost-device-vsock $VERSION for tests (some minutes)"
cargo install --quiet --locked --version $VERSION --root $tools vhost-device-vsock || echo "setup: vhost-device-vsock could not be built" >&2
