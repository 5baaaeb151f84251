#!/usr/bin/env bash
# End to end in User-Mode Linux: the daemon, a gallery in the memory of a board behind facet.ko, and the
# answers of the CPU alone, byte for byte.
set -u
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
mkdir -p "$build/vm"
data=$(mktemp -d "$build/vm/identify-XXXXXX") && trap 'rm -rf "$data"' EXIT
python3 - "$data" <<'PY'
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
tests/vm/um-run -l -m 768 -t 300 bash tests/vm/guest/identify.sh "$data"
