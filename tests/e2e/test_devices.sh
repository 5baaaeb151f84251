#!/usr/bin/env bash
# Devices beside the CPU: a board that wraps the CPU and goes wrong on command, and PoCL where it is
# installed. Whatever they do, answers are those of the CPU alone, and no request fails.
set -u
build=$(realpath "${BUILD:-build}")
facetd=$build/facetd ctl=$build/facetctl
folder=$(mktemp -d "${TMPDIR:-/tmp}/facet-devices-XXXXXX")
daemon=
stop() {
	[[ -n $daemon ]] && kill "$daemon" 2>/dev/null && wait "$daemon"
	daemon=
}
cleanup() {
	stop
	rm -rf "$folder"
}
trap cleanup EXIT
export FACET_SOCKET=$folder/s
bad=0
fail() {
	echo "FAILED: $*"
	bad=1
}

# start SECTIONS: a daemon with these devices, over the same state
start() {
	stop
	printf '[daemon]\nsocket = %s/s\nstate = %s/state\nmetrics = %s/m\n[device cpu]\nthreads = 1\n%b' \
		"$folder" "$folder" "$folder" "$1" >"$folder/conf"
	"$facetd" --config "$folder/conf" 2>"$folder/log" &
	daemon=$!
	for _ in $(seq 200); do "$ctl" ready -q >/dev/null 2>&1 && return 0; sleep 0.05; done
	fail "not ready: $(tail -n 3 "$folder/log")"
}
# column NAME KEY: of device show
column() { "$ctl" device show "$1" -o json | sed -n "s/^ *\"$2\":\"\\{0,1\\}\\([^\",]*\\)\"\\{0,1\\},\\{0,1\\}$/\\1/p"; }
# until NAME KEY VALUE: waits for it
until_is() {
	for _ in $(seq 200); do [[ $(column "$1" "$2") = "$3" ]] && return 0; sleep 0.05; done
	fail "$1: $2 is $(column "$1" "$2"), not $3"
}
# the copy of gallery g on device NAME has all that is published
until_current() {
	for _ in $(seq 200); do "$ctl" device show "$1" | grep -q '^gallery g .*current' && return 0; sleep 0.05; done
	fail "no current copy of g on $1: $("$ctl" device show "$1")"
}
answers() { "$ctl" identify g --vectors "$folder/q.npy" -k 5 -o json -q 2>/dev/null; }
# same WHAT [TIMES]: the answers are those of the CPU alone
same() {
	for _ in $(seq "${2:-5}"); do
		answers >"$folder/now" || fail "$1: a search failed"
		cmp -s "$folder/want" "$folder/now" || { fail "$1: other answers"; return; }
	done
}

python3 - "$folder" <<'PY'
import array, random, struct, sys
random.seed(1)
rows, dim, folder = 30000, 64, sys.argv[1]
def save(name, data):
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }" % (len(data) // dim, dim)
    head += ' ' * ((64 - (11 + len(head)) % 64) % 64) + '\n'
    with open(folder + '/' + name, 'wb') as f:
        f.write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(head)) + head.encode())
        data.tofile(f)
x = array.array('f', (random.random() - 0.5 for _ in range(rows * dim)))
save('x.npy', x)
save('q.npy', array.array('f', (v + 0.2 * (random.random() - 0.5) for v in x[:40 * dim])))
save('y.npy', array.array('f', (random.random() - 0.5 for _ in range(500 * dim))))
open(folder + '/labels', 'w').write(''.join('s%d\n' % (i // 3) for i in range(rows)))
open(folder + '/labels.y', 'w').write(''.join('t%d\n' % i for i in range(500)))
PY

# ---- the CPU alone says what is right
start ''
"$ctl" gallery create g --dim 64 -q && "$ctl" gallery import g "$folder/x.npy" --labels "$folder/labels" -q >/dev/null || fail "import"
answers >"$folder/want"
[[ -s $folder/want ]] || fail "no answers"
"$ctl" device drain cpu >"$folder/said" 2>&1 && fail "the cpu could be drained"
grep -q 'cannot be spared' "$folder/said" || fail "drain cpu: $(cat "$folder/said")"

# ---- a board: its copy follows, answers stay
start '[device b0]\nkind = fault\n[limits]\ncheck_every = 1\nreadback_every = 1\n'
until_current b0
same "with a board"
for _ in $(seq 100); do [[ $(column b0 checked) -gt 3 ]] && break; same "with a board" 1; done
[[ $(column b0 batches) -gt 5 && $(column b0 checked) -gt 3 && $(column b0 wrong) = 0 ]] ||
	fail "the board did not search: $("$ctl" device show b0)"
"$ctl" gallery import g "$folder/y.npy" --labels "$folder/labels.y" -q >/dev/null || fail "import of more"
"$ctl" subject delete g t7 --yes -q >/dev/null || fail "a delete"
until_current b0
for i in $(seq 0 499); do [[ $i = 7 ]] || echo "t$i"; done >"$folder/names"
"$ctl" subject list g | grep -q '^t7 ' && fail "t7 is still there"
# back to what it was, so that the answers can be compared
while read -r t; do "$ctl" subject delete g "$t" --yes -q >/dev/null || fail "delete $t"; done < <(head -n 40 "$folder/names")
"$ctl" device drain b0 -q >/dev/null || fail "drain"
[[ $(column b0 state) = drained && $(column b0 works) = false ]] || fail "not drained"
"$ctl" device enable b0 -q >/dev/null || fail "enable"
until_current b0
"$ctl" device reset b0 --yes -q >/dev/null || fail "reset"
until_current b0
"$ctl" device remove b0 --yes -q >/dev/null || fail "remove"
[[ $(column b0 state) = removed ]] || fail "not removed"
"$ctl" device enable b0 -q >/dev/null || fail "enable after remove"
until_current b0
while read -r t; do "$ctl" subject delete g "$t" --yes -q >/dev/null || fail "delete $t"; done < <(tail -n +41 "$folder/names")
same "after it was away"

# ---- a board that goes wrong: every answer is right all the same
for fault in 'flip-out:rate=1/3' 'flip-rows:rate=1/4' 'flip-in:rate=1/3' 'fail:rate=1/4,ops=search' 'delay:ms=5,rate=1/2'; do
	start "[device b0]\nkind = fault\nprefer = 1\nfault = $fault,after=8\n[limits]\ncheck_every = 1\nreadback_every = 1\n"
	same "$fault" 12
	case $fault in
	flip-out*|flip-in*)
		# Which batches flip is drawn, and while it is quarantined it gets none: until it was enough.
		for _ in $(seq 100); do [[ $(column b0 wrong) != 0 ]] && break; same "$fault" 1; done
		grep -q 'event=mismatch' "$folder/log" || fail "$fault: nothing was noticed"
		;;
	esac
done
start '[device b0]\nkind = fault\nprefer = 1\nfault = gone:after=15\n[limits]\ncheck_every = 0\n'
same "gone" 12
for _ in $(seq 100); do [[ $(column b0 works) = false ]] && break; same "gone" 1; done
until_is b0 works false
start '[device b0]\nkind = fault\nprefer = 1\nfault = hang:every=12,ops=search,ms=100\n'
same "hang" 8

# ---- a board with registers, rings and banks of its own, sound and not
start '[device v0]\nkind = virtual\n[limits]\ncheck_every = 1\nreadback_every = 1\n'
until_current v0
same "with the virtual board"
for _ in $(seq 100); do [[ $(column v0 checked) -gt 3 ]] && break; same "with the virtual board" 1; done
[[ $(column v0 checked) -gt 3 && $(column v0 wrong) = 0 ]] || fail "the virtual board: $("$ctl" device show v0)"
start '[device v0]\nkind = virtual\nselect = fail:every=9;lost-irq:every=5;late-irq:every=7,us=3000;flip:where=output,every=40\n[limits]\ncheck_every = 1\nreadback_every = 1\n'
same "with a bad virtual board" 12

# ---- what cannot be opened costs nothing
start '[device b0]\nkind = opencl\nselect = no such thing\n[device b1]\nkind = drm\nselect = no such thing\n'
until_is b0 state absent
until_is b1 state absent
same "absent boards" 1
printf '[device b0]\nselect = x\n' >"$folder/wrong"
"$facetd" --config "$folder/wrong" >"$folder/said" 2>&1 && fail "a device without kind"
grep -q 'has no kind' "$folder/said" || fail "no kind: $(cat "$folder/said")"

# ---- what people see
"$ctl" top --once >"$folder/top" || fail "top"
grep -q '^b0 ' "$folder/top" && grep -q '^cpu  *ok' "$folder/top" && grep -q '^local ' "$folder/top" ||
	fail "top: $(cat "$folder/top")"
"$ctl" top --once -o json | python3 -c 'import json, sys; d = json.load(sys.stdin)
assert {x["device"] for x in d["devices"]} == {"cpu", "b0", "b1"} and d["requests"], d' || fail "top -o json"

# ---- PoCL
if "$build/facet-opencl-probe" list | grep -q Portable; then
	start '[device pocl]\nkind = opencl\nselect = Portable\n[limits]\ncheck_every = 1\nreadback_every = 1\n'
	until_current pocl
	same "with PoCL" 8
	[[ $(column pocl wrong) = 0 ]] || fail "PoCL: $("$ctl" device show pocl)"
else
	echo "PoCL is not installed: its part was left out"
fi
stop
grep -q 'event=drain' "$folder/log" || fail "it did not end well: $(tail -n 3 "$folder/log")"
exit $bad
