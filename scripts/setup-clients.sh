#!/bin/sh
# Installs the MCP clients that `make test-clients` runs, in the versions of test/clients/package-lock.json. Their packages' own scripts are not run, but for
# what two of them cannot do without: putting the platform's program where their command is.
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/node_modules/.bin:$PATH:/usr/sbin:/sbin

# Each client runs in a network namespace of its own, whose loopback has to be brought up.
command -v ip >/dev/null 2>&1 || { echo "setup-clients: the program ip is missing: apt-get install iproute2" >&2; exit 1; }
clients=test/clients
# Goes with the folder, which npm makes anew.
installed=$clients/node_modules/.installed
if [ ! -e "$installed" ] || [ $clients/package-lock.json -nt "$installed" ]; then
  echo "setup-clients: installing MCP clients and coding agents (1.4 GB)"
  npm ci --prefix $clients --ignore-scripts --no-audit --no-fund --loglevel=error
  (cd $clients/node_modules/@anthropic-ai/claude-code && node install.cjs)
  (cd $clients/node_modules/opencode-ai && node postinstall.mjs)
  touch "$installed"
fi
