"""Compares digests of kernels, instruction set by instruction set; the first is the reference."""

import sys

sections = {}
for path in sys.argv[1:]:
    machine, lines = path.rsplit("/", 1)[-1], None
    for line in open(path):
        if line.startswith("== "):
            lines = sections.setdefault(f"{machine} {line[3:].strip()}", {})
        else:
            name, value = line.rsplit(" ", 1)
            lines[name] = value
names = list(sections)
reference = sections[names[0]]
passed = failed = 0
for name in names[1:]:
    wrong = [kernel for kernel in reference if sections[name].get(kernel) != reference[kernel]]
    passed += len(reference) - len(wrong)
    failed += len(wrong)
    print(f"{name}: {len(reference) - len(wrong)} of {len(reference)} digests are those of {names[0]}")
    for kernel in wrong[:20]:
        print(f"  differs: {kernel}")
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
