"""The package's offline verifiers on our proofs: every tree from 1 to 300 entries, and random pairs of a large one.

    product_proofs.py BINARY

HALDIR_PROOFS_ENTRIES is how many entries the large tree has, 3,000 if it is not set; the long form is 100,000. Starts its
own server. Prints `ok` and `FAILED` lines as `run` counts them.
"""

import copy
import os
import random
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import haldir
from checks import expect, run_check, summary
from python_product import Lab, start
from server import post_key, stop

SMALL = 300
PAIRS = 200


def signed(sth, public_key):
    expect(sth["algorithm"] == haldir.STH_ALGORITHM_ED25519, f"algorithm {sth['algorithm']}")
    expect(haldir.verify_sth(sth), "the head does not verify under the key in it")
    expect(haldir.verify_sth(sth, bytes.fromhex(public_key)), "nor under the published one")


def flipped(text, place):
    digits = list(text)
    digits[place % len(digits)] = "0" if digits[place % len(digits)] != "0" else "1"
    return "".join(digits)


def rejects(verify, proof, fields, path):
    """No field may be another, and no hash of the path."""
    for field in fields:
        altered = copy.deepcopy(proof)
        value = altered[field]
        altered[field] = value + 1 if isinstance(value, int) else flipped(value, 7)
        expect(not verify(altered), f"{field} may be altered")
    for place in range(len(proof[path])):
        altered = copy.deepcopy(proof)
        altered[path][place] = flipped(altered[path][place], place)
        expect(not verify(altered), f"hash {place} of {path} may be altered")


class Log:
    def __init__(self, client):
        self.client, self.ids, self.roots = client, [], {}
        self.session = client.create_session("prover")["session_id"]
        self.key = client.get_tree_head()["public_key"]

    def append(self):
        self.ids.append(self.client.log_action(self.session, action="x")["entry_id"])

    def check_inclusion(self, entry_id, altered=False):
        proof = self.client.get_inclusion_proof(entry_id)
        expect(haldir.verify_inclusion_proof(proof), f"{entry_id} of {proof['tree_size']} is not included")
        expect(proof["sth"]["root_hash"] == proof["root_hash"], "the head is another tree's")
        signed(proof["sth"], self.key)
        if altered:
            rejects(haldir.verify_inclusion_proof, proof, ["leaf_hash", "root_hash"], "audit_path")

    def check_consistency(self, first, second, altered=False):
        proof = self.client.get_consistency_proof(first, second)
        expect(haldir.verify_consistency_proof(proof), f"{first} and {second} are not consistent")
        for size, root in ((first, proof["first_root"]), (second, proof["second_root"])):
            expect(self.roots.get(size, root) == root, f"the root at {size} is another")
        if altered and first < second:
            rejects(haldir.verify_consistency_proof, proof, ["first_root", "second_root"], "consistency_path")


def every_small_tree_is_proved(log):
    for _ in range(SMALL - log.client.get_tree_head()["tree_size"]):
        log.append()
        head = log.client.get_tree_head()
        size = head["tree_size"]
        log.roots[size] = head["root_hash"]
        signed(head, log.key)
        log.check_inclusion(random.choice(log.ids), altered=size % 50 == 0)
        log.check_inclusion(log.ids[-1])
        log.check_consistency(1, size)
        log.check_consistency(random.randint(1, size), size, altered=size % 50 == 0)
    expect(max(log.roots) == SMALL, f"the last tree had {max(log.roots)} entries")


def every_entry_and_every_size_of_300_is_proved(log):
    for entry_id in log.ids:
        log.check_inclusion(entry_id)
    for first in range(1, SMALL + 1):
        log.check_consistency(first, SMALL)


def random_pairs_are_proved(log, entries):
    missing = entries - log.client.get_tree_head()["tree_size"]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: log.append(), range(missing)))
    for _ in range(PAIRS):
        first, second = sorted(random.randint(1, entries) for _ in range(2))
        log.check_consistency(first, second)
        log.check_inclusion(random.choice(log.ids))


def main(binary, entries):
    with tempfile.TemporaryDirectory(prefix="haldir-proofs-") as scratch:
        lab = Lab(scratch)
        server, lab.url = start(binary, lab, ["--rate-limits", "off"])
        try:
            log = Log(haldir.HaldirClient(post_key(lab.url)[1]["key"], base_url=lab.url))
            run_check("proofs: every tree up to 300 entries", lambda: every_small_tree_is_proved(log))
            run_check("proofs: every entry and size of 300", lambda: every_entry_and_every_size_of_300_is_proved(log))
            run_check(f"proofs: random pairs up to {entries}", lambda: random_pairs_are_proved(log, entries))
        finally:
            stop(server)
    return summary()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(os.environ.get("HALDIR_PROOFS_ENTRIES", "3000"))))
