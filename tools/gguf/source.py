#!/usr/bin/env python3
"""Unpacks parts of a source package of PyPI without building it.

    source.py FOLDER < LINES

The first line is the file's name, the second its sha256, the others the paths to unpack, below the package's own
folder; `vendor/NAME/` is left off. A copy in a folder of $PIP_FIND_LINKS is taken before the index is asked.
"""

import hashlib
import os
import re
import shutil
import sys
import tarfile
import tempfile
import urllib.parse
import urllib.request

INDEX = os.environ.get("PIP_INDEX_URL") or "https://pypi.org/simple"


def address(name):
    """The file's address in the simple index."""
    project = re.sub(r"[-_.]+", "-", re.match(r"(.*)-\d", name)[1]).lower()
    page = f"{INDEX.rstrip('/')}/{project}/"
    with urllib.request.urlopen(page, timeout=60) as answer:
        found = re.findall(r'href="([^"]+)"', answer.read().decode())
    for link in found:
        link = urllib.parse.urljoin(page, link.replace("&amp;", "&")).split("#")[0]
        if os.path.basename(urllib.parse.urlparse(link).path) == name:
            return link
    sys.exit(f"peers: {page} has no {name}")


def fetch(name, digest, file):
    """Copies the package into `file`, and stops where its digest is another."""
    local = [os.path.join(folder, name) for folder in os.environ.get("PIP_FIND_LINKS", "").split()]
    local = next((path for path in local if os.path.isfile(path)), None)
    with open(local, "rb") if local else urllib.request.urlopen(address(name), timeout=60) as source:
        shutil.copyfileobj(source, file, 1 << 20)
    file.seek(0)
    found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != digest:
        sys.exit(f"peers: {name} has sha256 {found}, not {digest}")
    file.seek(0)


def unpack(file, paths, folder):
    left = set(paths)
    with tarfile.open(fileobj=file, mode="r:gz") as archive:
        for member in archive:
            inner = member.name.partition("/")[2]
            path = next((path for path in paths if inner == path or inner.startswith(path + "/")), None)
            if path and (member.isfile() or member.isdir()):
                left.discard(path)
                member.name = re.sub(r"^vendor/[^/]+/", "", inner)
                archive.extract(member, folder, filter="data")
    if left:
        sys.exit(f"peers: the package has no {', '.join(sorted(left))}")


def main():
    name, digest, *paths = sys.stdin.read().split()
    with tempfile.TemporaryFile() as file:
        fetch(name, digest.removeprefix("sha256="), file)
        unpack(file, paths, sys.argv[1])


if __name__ == "__main__":
    main()
