"""SHA256SUMS, in the form that `sha256sum --check` reads."""

import hashlib

NAME = "SHA256SUMS"


def sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(out):
    files = sorted(path for path in out.iterdir() if path.is_file() and path.name != NAME)
    (out / NAME).write_text("".join(f"{sha256(path)}  {path.name}\n" for path in files), "utf-8")
