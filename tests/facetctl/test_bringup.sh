#!/usr/bin/env bash
# Bring-up of the virtual board, sound and with each fault: the right tests fail, the others pass, and
# the report names the cause; all formats; figures against a baseline.
set -u
build=$(realpath "${BUILD:-build}")
ctl=$build/facetctl
folder=$(mktemp -d "${TMPDIR:-/tmp}/facet-bringup-XXXXXX")
trap 'rm -rf "$folder"' EXIT
bad=0
fail() {
	echo "FAILED: $*"
	bad=1
}

# ---- sound
timeout 60 "$ctl" device validate -q --report "$folder/good" >"$folder/said" || fail "a sound board: $(cat "$folder/said")"
grep -q '19 passed, 0 failed, 0 could not run, 0 not run' "$folder/said" || fail "a sound board: $(tail -n 1 "$folder/said")"
python3 - "$folder/good" <<'PY' || fail "a report is malformed"
import json, sys, xml.etree.ElementTree as xml
d = sys.argv[1]
j = json.load(open(d + '/report.json'))
assert j['model'] is True and j['failed'] is False and len(j['results']) == 19, j
assert all(r['verdict'] == 'passed' for r in j['results'])
rate = next(r for r in j['results'] if r['test'] == 'dma-rate')
assert len(rate['points']) > 5 and rate['figures'][0]['value'] > 0
x = xml.parse(d + '/report.xml').getroot()
assert x.get('tests') == '19' and x.get('failures') == '0' and len(x) == 19
tap = open(d + '/report.tap').read().split('\n')
assert tap[1] == '1..19' and sum(l.startswith('ok ') for l in tap) == 19
html = open(d + '/report.html').read()
assert html.count('<svg') == 2 and 'MODEL' in html and 'http' not in html
PY

# broken FAULT TEXT ID...: these tests fail, all others pass or are not run; the report has the text
broken() {
	local fault=$1 text=$2 status got
	shift 2
	timeout 120 "$ctl" device validate -q -f "$fault" >"$folder/said"
	status=$?
	got=$(sed -n 's/^\(FB-[0-9]*\) .* FAILED .*/\1/p' "$folder/said" | xargs)
	[[ $status = 1 && $got = "$*" ]] || fail "$fault: exit $status, failed: $got, not $*"
	grep -q -- "$text" "$folder/said" || fail "$fault: no '$text' in: $(grep FAILED "$folder/said")"
	grep -q 'could not run  ' "$folder/said" && fail "$fault: $(grep 'could not run  ' "$folder/said")"
}
broken 'bad-cell:bank=0,address=4096,bit=13,value=1' 'ddr0: .* first at 0x1000: .* bits 0x2000' FB-502 FB-503 FB-504
broken 'stuck-line:bank=1,bit=29,value=0' 'ddr1: .*an address line' FB-501
broken 'lost-irq:every=3' '20 jobs, 1[0-9] interrupts' FB-322
broken 'narrow-link:lanes=4' 'x4 of x16 lanes' FB-102
broken 'hot' 'die is at 100.0, its warning is 90.0' FB-301
broken 'flip:where=accumulator,bit=9,every=50' 'a product: wrong bytes' FB-601
broken 'wrong-image' 'image virtual-1 begins' FB-203
broken 'unit-stop:unit=0,after=30,count=1' 'a copy of .* bytes failed' FB-401

# ---- a card that is not there; one test alone; what is not there; a baseline
timeout 60 "$ctl" bringup -q -f gone >"$folder/said" && fail "a board that is gone passed"
grep -q 'no card answers' "$folder/said" || fail "gone: $(cat "$folder/said")"
timeout 60 "$ctl" device validate -q -t FB-502 >"$folder/said" || fail "one test: $(cat "$folder/said")"
grep -q '3 passed, 0 failed, 0 could not run, 16 not run' "$folder/said" || fail "one test: $(tail -n 1 "$folder/said")"
"$ctl" device validate -t nothing >"$folder/said" 2>&1
[[ $? = 2 ]] || fail "an unknown test: $(cat "$folder/said")"
"$ctl" device validate -d 0000:01:00.0 >"$folder/said" 2>&1
[[ $? = 2 ]] || fail "a card: $(cat "$folder/said")"
"$ctl" device validate -f 'nonsense' >"$folder/said" 2>&1
[[ $? = 2 ]] || fail "an unknown fault: $(cat "$folder/said")"
[[ $("$ctl" device validate --list | wc -l) = 19 ]] || fail "--list"
python3 - "$folder" <<'PY'
import json, sys
d = sys.argv[1]
j = json.load(open(d + '/good/report.json'))
for r in j['results']:
    for f in r['figures']:
        if f['name'] == 'lanes':
            f['value'] = 32
json.dump(j, open(d + '/better.json', 'w'))
PY
timeout 60 "$ctl" device validate -q -t link --baseline "$folder/better.json" >"$folder/said" && fail "worse than the baseline passed"
grep -q 'lanes: 16.0 , in the baseline 32.0' "$folder/said" || fail "baseline: $(cat "$folder/said")"
echo '{}' >"$folder/none.json"
timeout 60 "$ctl" device validate -q -t link --baseline "$folder/none.json" >"$folder/said" 2>&1
[[ $? = 2 ]] || fail "a baseline that is none: $(cat "$folder/said")"
exit $bad
