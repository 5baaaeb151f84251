# SPDX-License-Identifier: Apache-2.0
"""metrics_doc.py DOC TEXT: the table of metrics against what a daemon printed, both ways."""
import re
import sys

ROW = re.compile(r'^\| `(facet_\w+)` \| (\w+) \| ([\w, ]*) \| ([\w ]+) \| (\S.*) \|$')
doc, bad = {}, []
for line in open(sys.argv[1]):
    if line.startswith('| `'):
        row = ROW.match(line.rstrip('\n'))
        if row:
            doc[row[1]] = (row[2], {w for w in row[3].split(', ') if w}, row[4])
        else:
            bad.append('a row that is not whole: ' + line.strip())
text = open(sys.argv[2]).read()
types = dict(re.findall(r'^# TYPE (\S+) (\w+)', text, re.M))
for name in sorted(doc.keys() ^ types.keys()):
    bad.append(name + (': not in the table' if name in types else ': the daemon does not print it'))
seen = set()
for name, labels in re.findall(r'^(facet_\w+)(?:\{([^}]*)\})? ', text, re.M):
    family = name if name in types else re.sub('_(bucket|sum|count)$', '', name)
    if family not in types or family not in doc:
        bad.append(name + ': no such family')
        continue
    seen.add(family)
    got = set(re.findall(r'(\w+)="', labels)) - {'le'}
    if got != doc[family][1]:
        bad.append(f'{family}: labels {sorted(got)}, the table has {sorted(doc[family][1])}')
for name in doc.keys() & types.keys():
    kind, _, unit = doc[name]
    if kind != types[name]:
        bad.append(f'{name}: is a {types[name]}')
    for word in ('seconds', 'bytes'):
        if ('_' + word in name) != (unit == word):
            bad.append(f'{name}: in {unit}?')
print('\n'.join(bad) or f'{len(doc)} metrics, {len(seen)} with values')
sys.exit(bool(bad) or len(seen) < 30)
