#!/usr/bin/env bash
# Real photos through real networks: compile, enrol, identify, verify, compare, and photos that must be
# refused. Needs the packages that `make demo` has fetched; skipped by name without them.
set -u
build=$(realpath "${BUILD:-build}")
ctl=$build/facetctl
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/facet
networks=$cache/faceplugin-face-recognition-js-0.0.1.tgz
photos=$cache/vladmandic-face-api-1.7.15.tgz
if [[ ! -f $networks || ! -f $photos ]]; then
	echo "the demo's networks and photos are not here (make demo fetches them)"
	exit 77
fi
folder=$(mktemp -d "${TMPDIR:-/tmp}/facet-faces-XXXXXX")
daemon=
cleanup() {
	[[ -n $daemon ]] && kill "$daemon" 2>/dev/null && wait "$daemon" 2>/dev/null
	rm -rf "$folder"
}
trap cleanup EXIT
cd "$folder" || exit 1
tar -xzf "$networks" package/model/fr_{detect,landmark,feature}.onnx && mv package/model nets
tar -xzf "$photos" package/demo/sample{1,2,3,4,5,6}.jpg && mv package/demo groups
export FACET_SOCKET=$folder/sock
printf '[daemon]\nsocket = %s\nstate = %s\nchecker = %s\n' "$FACET_SOCKET" "$folder/state" \
	"$build/facet-gallery-check" >conf
"$build/facetd" --config conf 2>log &
daemon=$!
for _ in $(seq 100); do "$ctl" ready -q >/dev/null 2>&1 && break; sleep 0.1; done

bad=0
# expect STATUS PATTERN COMMAND...
expect() {
	local want=$1 pattern=$2 got out
	shift 2
	out=$("$@" 2>&1 </dev/null)
	got=$?
	if [[ $got != "$want" ]] || ! grep -qE -- "$pattern" <<<"$out"; then
		echo "FAILED: $*: exit $got (want $want), no /$pattern/ in:"
		echo "$out" | tail -n 5
		bad=1
	fi
}

finders=(--detector nets/fr_detect.onnx --landmark nets/fr_landmark.onnx)
expect 0 "centred cosine 0.9[5-9]" "$ctl" compile nets/fr_detect.onnx --calibrate groups -o detect.fct
expect 0 "centred cosine" "$ctl" compile nets/fr_landmark.onnx --calibrate groups "${finders[@]}" \
	--mean 0 --scale 256 --no-template -o landmark.fct
expect 0 "centred cosine 0.9[0-9]" "$ctl" compile nets/fr_feature.onnx --calibrate groups "${finders[@]}" -o feature.fct
expect 0 "outputs .*4420x4" "$ctl" model create detect detect.fct
expect 0 "landmark" "$ctl" model create landmark landmark.fct
expect 0 "dim +512" "$ctl" model create feature feature.fct

# The same network, photos and options give the same file.
"$ctl" compile nets/fr_detect.onnx --calibrate groups -o again.fct -q >/dev/null 2>&1
cmp -s detect.fct again.fct || { echo "FAILED: compiling twice gave two files"; bad=1; }

# A file with a flipped byte is refused, wherever the byte is.
for at in 3 40 70 140 3000 200000; do
	cp detect.fct flipped.fct
	byte=$(od -An -tu1 -j "$at" -N1 detect.fct)
	printf "\\$(printf %o $((byte ^ 4)))" | dd of=flipped.fct bs=1 seek="$at" conv=notrunc status=none
	expect 2 "facetctl: flipped.fct: .{10}" "$ctl" model create broken flipped.fct
done

mkdir -p people/one people/two
cp groups/sample1.jpg people/one/
cp groups/sample3.jpg people/two/
expect 0 "made" "$ctl" gallery create staff --model feature
expect 2 "several faces; say --face largest" "$ctl" enrol staff people
expect 0 "enrolled +2" "$ctl" enrol staff people --face largest
expect 0 "candidates, no decision" "$ctl" identify staff groups/sample1.jpg
expect 0 "one .*match" "$ctl" identify staff groups/sample1.jpg --face largest --threshold 0.9 -k 1
expect 1 "no match" "$ctl" identify staff groups/sample4.jpg --threshold 0.99
expect 2 "no threshold|no calibrated|calibrat" "$ctl" identify staff groups/sample1.jpg --fmr 1e-4
expect 0 "decision +match" "$ctl" verify staff one groups/sample1.jpg --face largest --threshold 0.9
expect 2 "no.* subject|not found" "$ctl" verify staff nobody groups/sample1.jpg --face largest
expect 0 "score +(1.0|0.99)" "$ctl" compare groups/sample1.jpg groups/sample1.jpg --face largest

# Photos that are none, or too much.
head -c 3000 groups/sample1.jpg >cut.jpg
printf '\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xea\x60\0\0\xea\x60\x08\x02\0\0\0\0\0\0\0' >huge.png
: >empty.jpg
echo hello >text.jpg
for photo in cut.jpg huge.png empty.jpg text.jpg missing.jpg; do
	expect 2 "$photo: .{8}" "$ctl" identify staff "$photo"
done
expect 0 "ready +yes" "$ctl" ready
grep -qiE 'sample1|"one"|subject=one' log && { echo "FAILED: a name is in the log"; bad=1; }
[[ $bad = 0 ]] && echo "faces: all as stated"
exit $bad
