#!/usr/bin/env bash
# The process around the service: options, sockets, state, metrics, socket activation.
set -u
build=$(realpath "${BUILD:-build}")
facetd=$build/facetd ctl=$build/facetctl
folder=$(mktemp -d "${TMPDIR:-/tmp}/facet-service-XXXXXX")
pids=()
cleanup() {
	for p in "${pids[@]}"; do kill "$p" 2>/dev/null && wait "$p" 2>/dev/null; done
	rm -rf "$folder"
}
trap cleanup EXIT
export FACET_SOCKET=$folder/s
bad=0
fail() {
	echo "FAILED: $*"
	bad=1
}
# refused PATTERN COMMAND...: ends with an error, whose text has the pattern
refused() {
	local pattern=$1 out
	shift
	out=$(timeout 10 "$@" 2>&1 </dev/null) && fail "accepted: $*"
	grep -qE -- "$pattern" <<<"$out" || fail "$*: no /$pattern/ in: $out"
}
ready() {
	for _ in $(seq 100); do "$ctl" ready -q >/dev/null 2>&1 && return 0; sleep 0.05; done
	fail "not ready"
	return 1
}

"$facetd" --version | grep -q '^facetd [0-9]' || fail "--version"
"$facetd" --help | grep -q -- '--socket' || fail "--help"
printf '[limits]\nqueue = lots\n' >"$folder/wrong"
refused 'wrong:2: .*write digits' "$facetd" --config "$folder/wrong"
refused 'No such file' "$facetd" --config "$folder/none"
refused 'no log level' "$facetd" --log loud --socket "$folder/x" --state "$folder/x.state"
refused 'no argument' "$facetd" argument
refused 'longer than' "$facetd" --state "$folder/x.state" --socket "$folder/$(printf 'x%.0s' {1..120})"
printf '[daemon]\nkey_file = %s/key\n' "$folder" >"$folder/keyed"
head -c 32 /dev/zero >"$folder/key"
chmod 644 "$folder/key"
refused 'chmod 0600' "$facetd" --config "$folder/keyed" --socket "$folder/x" --state "$folder/x.state"

"$facetd" --socket "$folder/s" --state "$folder/state" --metrics "$folder/m" 2>"$folder/log" &
pids+=($!)
ready
refused 'in use by another facetd' "$facetd" --socket "$folder/s2" --state "$folder/state"
refused 'stop the daemon that answers there' "$facetd" --socket "$folder/s" --state "$folder/state2"
touch "$folder/file"
refused 'give a path' "$facetd" --socket "$folder/file" --state "$folder/state2"
[[ $(stat -c %a "$folder/s") = 660 ]] || fail "mode of the socket: $(stat -c %a "$folder/s")"
[[ $(stat -c %a "$folder/state") = 700 ]] || fail "mode of the state: $(stat -c %a "$folder/state")"
grep -qE '^Max core file size +0 +0' "/proc/${pids[0]}/limits" || fail "it could dump core"

# Metrics: with a request and without one.
scrape() {
	python3 - "$folder/m" "$1" <<'PY'
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(5)
s.connect(sys.argv[1])
s.sendall(sys.argv[2].encode().decode('unicode_escape').encode())
text = b''
while True:
    part = s.recv(65536)
    if not part:
        break
    text += part
print(text.decode())
PY
}
if command -v python3 >/dev/null; then
	"$ctl" ping >/dev/null || fail "ping"
	"$ctl" gallery create counted --dim 64 -q || fail "create"
	"$ctl" gallery show nobody -q >/dev/null 2>&1 && fail "a gallery that is not there"
	scrape 'GET /metrics HTTP/1.0\r\n\r\n' >"$folder/text"
	head -n 1 "$folder/text" | grep -q '^HTTP/1.0 200 OK' || fail "no header in the metrics"
	grep -qE '^facet_requests_total\{tenant="[a-z_]+",op="echo",code="ok"\} [1-9]' "$folder/text" || fail "no count of echoes"
	grep -q '^facet_ready 1$' "$folder/text" || fail "not ready in the metrics"
	grep -qvE '^(#|facet_[a-z_]+(\{[^}]*\})? [0-9.e+-]+.?$|HTTP|Content|Connection|.?$)' "$folder/text" &&
		fail "a line that is no metric: $(grep -vE '^(#|facet_|HTTP|Content|Connection|.?$)' "$folder/text" | head -n 1)"
	python3 tests/e2e/metrics_doc.py docs/metrics.md "$folder/text" || fail "docs/metrics.md is not what the daemon prints"
	scrape '' | grep '^facet_connections ' >/dev/null || fail "no metrics without a request"
fi

# A trace id goes from the call to the log, with the devices and where the time went.
"$facetd" --socket "$folder/t" --state "$folder/t.state" --log debug >/dev/null 2>"$folder/t.log" &
traced=$!
for _ in $(seq 100); do "$ctl" ready -q -s "$folder/t" >/dev/null 2>&1 && break; sleep 0.05; done
"$ctl" ping -s "$folder/t" --trace c0ffee >/dev/null || fail "ping with a trace id"
refused 'hexadecimal' "$ctl" ping -s "$folder/t" --trace xyz
refused 'hexadecimal' "$ctl" ping -s "$folder/t" --trace 11112222333344445
grep -qE 'op=echo .*trace=0000000000c0ffee code=0 devices=cpu queue_ns=[0-9]+ wait_ns=[0-9]+ device_ns=[1-9][0-9]* total_ns=[1-9]' "$folder/t.log" ||
	fail "no trace id in the log: $(grep op=echo "$folder/t.log" | head -n 1)"
kill "$traced" && wait "$traced"

# Killed, it leaves its socket behind; the next one takes it over.
kill -9 "${pids[0]}"
wait "${pids[0]}" 2>/dev/null
"$facetd" --socket "$folder/s" --state "$folder/state" 2>>"$folder/log" &
pids=($!)
ready
kill "${pids[0]}"
wait "${pids[0]}" || fail "SIGTERM: exit $?"

# A folder it makes for the socket is open to those whom the socket itself lets in.
"$facetd" --socket "$folder/run/s" --state "$folder/state" 2>>"$folder/log" &
pids=($!)
FACET_SOCKET=$folder/run/s ready
[[ $(stat -c %a "$folder/run") = 755 ]] || fail "mode of the socket's folder: $(stat -c %a "$folder/run")"
kill "${pids[0]}"
wait "${pids[0]}" || fail "SIGTERM: exit $?"

# Started by systemd's socket, it tells systemd that it is ready.
if command -v systemd-socket-activate >/dev/null; then
	rm -f "$folder/s"
	systemd-socket-activate -l "$folder/s" --fdname=facet "$facetd" --socket "$folder/other" \
		--state "$folder/state" 2>>"$folder/log" &
	pids=($!)
	sleep 0.3
	ready
	[[ -e $folder/other ]] && fail "it made a socket of its own"
	kill "${pids[0]}"
	wait "${pids[0]}" || fail "SIGTERM under activation: exit $?"
fi
[[ $bad = 0 ]] || tail -n 5 "$folder/log"
exit $bad
