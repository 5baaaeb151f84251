#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Python package against a real facetd on a private socket.
set -eu
cd "$(dirname "$0")/../.."
python=/usr/bin/python3
[[ -x $python ]] || { echo "python3 is missing"; exit 77; }
"$python" -c 'import numpy' 2>/dev/null || { echo "python3-numpy is missing"; exit 77; }
build=$(realpath "${BUILD:-build}")
dir=$(mktemp -d "${TMPDIR:-/tmp}/facet-python-XXXXXX")
daemon=
stop() {
	[[ -z $daemon ]] || { kill "$daemon" && wait "$daemon"; } 2>/dev/null || true
	daemon=
}
trap 'stop; rm -rf "$dir"' EXIT

start() {
	"$build/facetd" --socket "$dir/sock" --state "$dir/state" --log warning >>"$dir/log" 2>&1 &
	daemon=$!
	for ((i = 0; i < 100; i++)); do
		[[ -S $dir/sock ]] && return
		sleep 0.05
	done
	cat "$dir/log"
	exit 1
}

export FACET_SOCKET=$dir/sock FACET_LIBRARY=$build/libfacet.so PYTHONPATH=host/python
export PYTHONDONTWRITEBYTECODE=1
mkdir "$dir/state"
start
"$python" tests/e2e/python_client.py write || { cat "$dir/log"; exit 1; }
stop
start
"$python" tests/e2e/python_client.py read || { cat "$dir/log"; exit 1; }
