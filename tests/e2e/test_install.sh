#!/usr/bin/env bash
# make install into an empty folder: everything is there, a program builds against it by pkg-config, as C
# and as C++, and the daemon finds its checker in the installed place.
set -u
build=${BUILD:-build}
folder=$(mktemp -d "${TMPDIR:-/tmp}/facet-install-XXXXXX")
daemon=
cleanup() {
	[[ -n $daemon ]] && kill "$daemon" 2>/dev/null && wait "$daemon" 2>/dev/null
	rm -rf "$folder"
}
trap cleanup EXIT
fail() { echo "FAILED: $*"; exit 1; }

make -s --no-print-directory BUILD="$build" DESTDIR="$folder" PREFIX=/usr install >"$folder/log" 2>&1 || {
	tail -n 5 "$folder/log"
	fail "make install"
}
usr=$folder/usr
for file in bin/facetctl sbin/facetd libexec/facet/facet-gallery-check lib/libfacet.so.0 lib/libfacet-face.so.0 \
	include/facet/facet.h include/facet/face.h lib/pkgconfig/facet.pc share/man/man1/facetctl.1 \
	share/man/man3/libfacet.3 share/man/man5/facetd.conf.5 share/man/man8/facetd.8 share/doc/facet/facetd.conf.example lib/systemd/system/facetd.service; do
	[[ -e $usr/$file ]] || fail "$file is not installed"
done
grep -rl '@PREFIX@\|@VERSION@' "$usr/lib" && fail "a place was not filled in"

cat >"$folder/prog.c" <<'EOF'
#include <facet/facet.h>
#include <facet/face.h>
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv)
{
	struct facet *c;
	struct facet_params params;
	memset(&params, 0, sizeof(params));
	params.size = sizeof(params);
	if (facet_connect(argc > 1 ? argv[1] : "/nowhere", &params, &c) != 0) {
		printf("%s: %s\n", facet_code_name(facet_error(c)->code), facet_error(c)->text);
		facet_close(c);
		return 3;
	}
	int status = facet_ping(c, "hello", 5, NULL);
	facet_close(c);
	return status != 0;
}
EOF
export PKG_CONFIG_PATH=$usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$folder PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
flags=$(pkg-config --cflags --libs facet) || fail "pkg-config facet"
# shellcheck disable=SC2086
gcc -Wall -Wextra -Werror -pedantic -std=c99 "$folder/prog.c" -o "$folder/prog" $flags || fail "C99 program"
# shellcheck disable=SC2086
if command -v g++ >/dev/null; then
	g++ -x c++ -Wall -Wextra -Werror -fsyntax-only "$folder/prog.c" $flags || fail "C++ program"
fi
export LD_LIBRARY_PATH=$usr/lib
"$folder/prog" >"$folder/out"
[[ $? = 3 ]] && grep -q "unavailable" "$folder/out" || fail "without a daemon: $(cat "$folder/out")"

"$usr/sbin/facetd" --socket "$folder/sock" --state "$folder/state" 2>"$folder/dlog" &
daemon=$!
for _ in $(seq 100); do "$usr/bin/facetctl" ready -q -s "$folder/sock" >/dev/null 2>&1 && break; sleep 0.1; done
"$folder/prog" "$folder/sock" || fail "ping through the installed library"
echo "install: all there"
