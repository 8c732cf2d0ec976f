"""HDiffPatch as a program, by way of the package `hdiffpatch`.

In: hdiffpatch_peer.py make|apply|make-lite|apply-lite OLD NEW PATCH; `apply` writes NEW, `make` writes PATCH.
Its suffix-array search (what `hdiffz -m` does) with LZMA at its highest level and a dictionary of 64 MiB; `lite` is the
format for microcontrollers (HPatchLite).
"""

import sys

import hdiffpatch


def read(path):
    with open(path, "rb") as file:
        return file.read()


def main():
    action, old_path, new_path, patch_path = sys.argv[1:]
    lzma = hdiffpatch.LzmaConfig(level=9, window=26)
    old = read(old_path)
    if action == "make":
        result = hdiffpatch.diff(old, read(new_path), compression=lzma, validate=False)
    elif action == "make-lite":
        result = hdiffpatch.diff_lite(old, read(new_path), compression=lzma, validate=False)
    elif action == "apply":
        result = hdiffpatch.apply(old, read(patch_path))
    elif action == "apply-lite":
        result = hdiffpatch.apply_lite(old, read(patch_path))
    else:
        raise SystemExit(f"unknown action {action}")
    with open(new_path if action.startswith("apply") else patch_path, "wb") as file:
        file.write(result)


main()
