#!/bin/bash
# In the guest: the board on the PCI bus, as lspci would tell it.
set -u
device=/sys/bus/pci/devices/0000:00:00.0
bad=0
is() { # WHAT FOUND WANTED
	[[ $2 = "$3" ]] && return
	echo "$1: $2, not $3"
	bad=1
}
byte() { od -An -tu1 -j "$1" -N 1 "$device/config" | tr -d ' '; }
word() { od -An -tu4 -j "$1" -N 4 "$device/config" | tr -d ' '; }
short() { od -An -tu2 -j "$1" -N 2 "$device/config" | tr -d ' '; }

[[ -d $device ]] || { echo "no board on the bus: $(ls /sys/bus/pci/devices)"; exit 1; }
is vendor "$(cat $device/vendor)" 0xfac7
is device "$(cat $device/device)" 0x0001
is class "$(cat $device/class)" 0x120000

bar_bytes() {
	local begin end flags
	read -r begin end flags < <(sed -n "$(($1 + 1))p" "$device/resource")
	[[ $begin != 0x0000000000000000 && $((flags & 0x200)) != 0 ]] || { echo "none in memory"; return; }
	echo $((end - begin + 1))
}
is "BAR 0" "$(bar_bytes 0)" 65536
is "BAR 2" "$(bar_bytes 2)" 4096
is "BAR 1" "$(bar_bytes 1)" "none in memory"

# Capabilities: an end, no circle, and MSI-X among them with its table in BAR 2.
at=$(byte 0x34) steps=0 msix=
while [[ $at != 0 && $steps -lt 48 ]]; do
	[[ $(byte "$at") = 17 ]] && msix=$at
	at=$(byte $((at + 1))) steps=$((steps + 1))
done
is "end of the capabilities" "$at" 0
if [[ $msix ]]; then
	is "MSI-X vectors" $((($(short $((msix + 2))) & 0x7ff) + 1)) 4
	is "BAR of the MSI-X table" $(($(word $((msix + 4))) & 7)) 2
	is "BAR of the pending bits" $(($(word $((msix + 8))) & 7)) 2
else
	is MSI-X absent there
fi
# What is written stays inside its mask: the ids do not change, the interrupt line does.
printf '\x00\x00' | dd of="$device/config" bs=1 seek=0 conv=notrunc status=none
is "vendor after a write" "$(short 0)" 64199
printf '\x2a' | dd of="$device/config" bs=1 seek=60 conv=notrunc status=none
is "interrupt line" "$(byte 60)" 42
[[ $bad = 0 ]] && echo "the board is on the bus"
exit $bad
