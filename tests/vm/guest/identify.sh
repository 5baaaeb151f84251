#!/bin/bash
# In the guest: identify.sh DATA
set -u
data=$1 folder=/tmp/facet daemon=
ctl=$BUILD/facetctl
mkdir -p $folder && mount -t tmpfs -o size=600m facet $folder
export FACET_SOCKET=$folder/s
fail() { echo "FAILED: $*"; tail -n 5 $folder/log; [[ ! $daemon ]] || stop; exit 1; }
start() {
	printf '[daemon]\nsocket = %s/s\nstate = %s/state\n[device cpu]\nthreads = 1\n%b' $folder $folder "$1" >$folder/conf
	"$BUILD/facetd" --config $folder/conf 2>$folder/log &
	daemon=$!
	for _ in $(seq 200); do "$ctl" ready -q >/dev/null 2>&1 && return; sleep 0.1; done
	fail "the daemon is not ready"
}
stop() { kill $daemon; wait $daemon; }
answers() { "$ctl" identify g --vectors "$data/q.npy" -k 5 -o json -q 2>/dev/null; }
board() { "$ctl" device show b0 -o json | sed -n "s/^ *\"$1\":\"\\{0,1\\}\\([^\",]*\\)\"\\{0,1\\},\\{0,1\\}$/\\1/p"; }

start ''
"$ctl" gallery create g --dim 128 -q >/dev/null || fail "no gallery"
"$ctl" gallery import g "$data/x.npy" --labels "$data/labels" -q >/dev/null || fail "no import"
answers >$folder/want
[[ -s $folder/want ]] || fail "no answers of the CPU"
stop

start '[device b0]\nkind = drm\n[limits]\ncheck_every = 7\n'
for _ in $(seq 100); do "$ctl" device show b0 | grep -q '^gallery g .*current' && break; sleep 0.2; done
"$ctl" device show b0 | grep -q '^gallery g .*current' || fail "no copy on the board: $("$ctl" device show b0)"
for i in $(seq 60); do
	answers >$folder/now || fail "a search failed"
	cmp -s $folder/want $folder/now || fail "search $i: other answers"
	[[ $i -lt 10 || $(board batches) -lt 10 ]] || break
done
batches=$(board batches) wrong=$(board wrong)
[[ $batches -gt 5 ]] || fail "the board did nothing in $i searches"
[[ ${wrong:-1} = 0 ]] || fail "$wrong answers of the board were wrong"
"$ctl" device show b0 | head -n 3
direct=$(board bytes_direct)
[[ ! -w /dev/udmabuf || ${direct:-0} -gt 100000 ]] || fail "of the gallery the board fetched $direct bytes by itself"
stop
echo "$direct bytes fetched by the board; $i searches of 30 queries, $batches batches on the board, answers of the CPU"
