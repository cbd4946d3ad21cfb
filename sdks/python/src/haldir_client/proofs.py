"""Inclusion proofs of RFC 6962, checked without the server.

This shows that an entry is in the tree of a given root. That the root is the server's own is shown by the signature of the
tree head, and that the leaf is this entry by its canonical bytes: `haldir-verify` checks both.
"""

from __future__ import annotations

import hashlib

from .models import GetInclusionProofResponse

MAX_PATH = 64  # hashes from a leaf to the root of the largest tree
ALGORITHM = "RFC6962-SHA256"


def verify_inclusion(proof: GetInclusionProofResponse) -> bool:
    """Whether the path leads from the leaf to the root of a tree of that size: RFC 9162, section 2.1.3.2."""
    index, last = proof.leaf_index, proof.tree_size - 1
    head = proof.sth
    if proof.algorithm != ALGORITHM or not 0 <= index <= last or len(proof.audit_path) > MAX_PATH:
        return False
    if head.tree_size != proof.tree_size or head.root_hash != proof.root_hash:
        return False
    try:
        node, root = bytes.fromhex(proof.leaf_hash), bytes.fromhex(proof.root_hash)
        path = [bytes.fromhex(text) for text in proof.audit_path]
    except ValueError:
        return False
    if any(len(one) != hashlib.sha256().digest_size for one in [node, root, *path]):
        return False
    for sibling in path:
        if last == 0:
            return False
        if index % 2 or index == last:
            node = _parent(sibling, node)
            while index % 2 == 0 and index:
                index, last = index >> 1, last >> 1
        else:
            node = _parent(node, sibling)
        index, last = index >> 1, last >> 1
    return last == 0 and node == root


def _parent(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
