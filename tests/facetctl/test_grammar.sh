#!/usr/bin/env bash
# The command line's grammar: help, exit codes, errors that say what to do. No daemon is running.
set -u
ctl=${BUILD:-build}/facetctl
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export FACET_SOCKET=$folder/none.sock
bad=0

# expect STATUS PATTERN COMMAND...: that exit status, and a line of output that matches
expect() {
	local want=$1 pattern=$2 got out
	shift 2
	out=$("$@" 2>&1 </dev/null)
	got=$?
	if [[ $got != "$want" ]] || ! grep -qE -- "$pattern" <<<"$out"; then
		echo "FAILED: $*: exit $got (want $want), no /$pattern/ in:"
		echo "$out" | head -n 5
		bad=1
	fi
}

expect 2 "Usage: facetctl COMMAND" "$ctl"
expect 0 "identify GALLERY PHOTO" "$ctl" --help
expect 0 "^facetctl [0-9]" "$ctl" --version
expect 2 "there are: u50 u55c u280" "$ctl" plan --board u9 --gallery 5
expect 2 "how large a --gallery" "$ctl" plan --board u50
expect 2 "a duration above 0 with its unit" "$ctl" plan --board u50 --gallery 5 --p99 20
expect 2 "a duration above 0 with its unit" "$ctl" plan --board u50 --gallery 5 --p99 -1ms
expect 1 "MODEL, 225 MHz: no number of boards" "$ctl" plan --board u50 --gallery 5 --p99 1us
expect 0 "\"figures\":\"MODEL\"" "$ctl" plan --board u55c --gallery 50000000 --dim 512 --rate 2000 --p99 20ms -o json
expect 0 "^MODEL +u280 +300 " "$ctl" plan --board u280 --gallery 1000000
expect 2 "no command 'frobnicate'" "$ctl" frobnicate
expect 2 "it has: create, list, show, delete, export, import" "$ctl" gallery shrink
expect 0 "dry-run" "$ctl" gallery delete --help
expect 0 "--min-quality" "$ctl" enroll --help
expect 2 "want table, json or jsonl" "$ctl" ping -o xml
expect 2 "want a whole number" "$ctl" ping -n many
expect 2 "want seconds above 0" "$ctl" ping --timeout -1
expect 2 "is facetd running" "$ctl" ping --timeout 1
expect 2 "is facetd running" "$ctl" ping --timeout 1 -s "$folder/other.sock"
expect 2 "either --model MODEL or --dim D" "$ctl" gallery create staff
expect 2 "either --model MODEL or --dim D" "$ctl" gallery create staff --model m --dim 4
expect 2 "want cosine, dot or l2" "$ctl" gallery create staff --dim 4 --metric mile
expect 2 "Not done: not a terminal" "$ctl" gallery delete staff
expect 2 "MASK=VALUE" "$ctl" identify staff --vectors x.npy --tags 3
expect 2 "wants --labels" "$ctl" enrol staff --vectors x.npy
expect 2 "want a rate above 0" "$ctl" identify staff a.jpg --fmr 2
expect 2 "compile wants NET.onnx, --calibrate DIR and -o NET.fct" "$ctl" compile net.onnx -o net.fct
expect 2 "template delete wants GALLERY" "$ctl" template delete staff
[[ $bad = 0 ]] && echo "grammar: all as stated"
exit $bad
