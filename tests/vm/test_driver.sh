#!/usr/bin/env bash
# The suites of all ops and of searches through the kernel driver: facet.ko in User-Mode Linux, the
# virtual board on its bus, the daemon's drm backend in front. The kernel watches (KASAN, lockdep,
# kmemleak), and the module is unloaded at the end.
set -u
cd "$(dirname "$0")/../.."
export BUILD=${BUILD:-build}
exec tests/vm/um-run -l -t 400 env FACET_TEST_DEVICE=drm CK_FORK=no CK_TIMEOUT_MULTIPLIER=10 sh -c '
	"$BUILD/tests/device/test_search" && "$BUILD/tests/device/test_ops"'
