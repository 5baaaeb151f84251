#!/bin/bash
# In a guest that is one of Debian's own kernels: stock.sh GUESTS DATA TEST...
# The calls field by field, more of tests/vm/guest, then identify end to end.
guests=$1 data=$2 status=0
shift 2
export CK_TIMEOUT_MULTIPLIER=10
for t in "$@"; do
	case $t in
	*/*) FACET_TEST_DEVICE=drm CK_FORK=no "$t" || status=1 ;;
	*) "$guests/$t" || status=1 ;;
	esac
done
bash "${0%/*}/identify.sh" "$data" || status=1
exit $status
