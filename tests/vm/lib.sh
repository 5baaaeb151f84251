# SPDX-License-Identifier: GPL-2.0-only
# What um-run and qemu-run have in common; sourced. $run is the folder that guest and host share.

# make_start FOLDER LEAKS MODULES... -- COMMAND...: what the guest runs, as $run/start. Leaks show once the
# modules are gone and nothing points at them any more.
make_start() {
	local folder=$1 leaks=$2 m modules=()
	shift 2
	while [[ $1 != -- ]]; do
		modules+=("$1")
		shift
	done
	shift
	{
		printf '#!/bin/bash\nexport FACET_RUN=%q BUILD=%q PATH=%q TERM=%q\n' "$run" "$build" "$PATH" "${TERM:-linux}"
		for m in ${modules[@]+"${modules[@]}"}; do
			printf '/bin/busybox insmod %s || exit 71\n' "$m"
		done
		printf 'cd %q\n' "$folder"
		printf '%q ' "$@"
		printf '\nstatus=$?\n'
		printf '%s\n' "$collect"
		for m in ${modules[@]+"${modules[@]}"}; do
			m=$(basename "${m%% *}" .ko)
			printf '[ ! -d /sys/module/%s ] || /bin/busybox rmmod %s || exit 72\n' "$m" "$m"
		done
		[[ ! $leaks ]] ||
			# A first scan only notes what nothing points at, a second tells what still is as it was.
			printf 'sleep 6; for i in 1 2; do echo scan >/sys/kernel/debug/kmemleak; done; cat /sys/kernel/debug/kmemleak >%q\n' "$run/leaks"
		printf 'exit $status\n'
	} >"$run/start"
	chmod +x "$run/start"
}

# verdict NAME TIMED SECONDS: exits as both programs promise, having printed what went wrong.
verdict() {
	local reports='KASAN|BUG:|WARNING:|possible (circular|recursive)|INFO: (task|trying)|suspicious RCU|inconsistent lock|sleeping function|DMA-API: .*device driver'
	if [[ $2 = 124 || $2 = 137 ]]; then
		echo "$1: not over after $3 s"
		exit 124
	fi
	[[ -s $run/status ]] || { cat "$run/words" 2>/dev/null; echo "$1: the guest ended without a word"; exit 70; }
	if grep -aE "$reports" "$run/dmesg" | grep -aqvE "${own:-^$}" || [[ -s $run/leaks ]]; then
		echo "$1: the kernel reported a fault of its own:"
		# Not what only happened to lie on the stack.
		grep -aE -A 60 "$reports" "$run/dmesg" | grep -av '\] ? ' | head -n 60
		head -n 40 "$run/leaks" 2>/dev/null
		exit 70
	fi
	exit "$(cat "$run/status")"
}

# make_vectors FOLDER: a gallery of 6,000 templates, its labels and 30 queries near some of them.
make_vectors() {
	python3 - "$1" <<'PY'
import array, random, struct, sys
random.seed(2)
rows, dim, folder = 6000, 128, sys.argv[1]
def save(name, data):
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }" % (len(data) // dim, dim)
    head += ' ' * ((64 - (11 + len(head)) % 64) % 64) + '\n'
    with open(folder + '/' + name, 'wb') as f:
        f.write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(head)) + head.encode())
        data.tofile(f)
x = array.array('f', (random.random() - 0.5 for _ in range(rows * dim)))
save('x.npy', x)
save('q.npy', array.array('f', (v + 0.2 * (random.random() - 0.5) for v in x[:30 * dim])))
open(folder + '/labels', 'w').write(''.join('s%d\n' % (i // 3) for i in range(rows)))
PY
}
