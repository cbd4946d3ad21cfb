import type { Output } from "./operation.js";

/** That an entry is in the log: the way from it up to the root of a signed tree head. */
export type InclusionProof = Output<"getInclusionProof">;

const MAX_PATH = 64; // levels of a tree

/**
 * Whether the proof's path leads from its leaf to its root (RFC 9162, section 2.1.3.2), and whether `publicKey`, the log's key in
 * hexadecimal, has signed that root. Take the key from a source that you trust, not from the proof; `haldir-verify` checks whole logs.
 */
export async function verifyInclusionProof(proof: InclusionProof, publicKey: string): Promise<boolean> {
  const { leaf_index, tree_size, sth } = proof;
  const isOfHead = sth.tree_size === tree_size && sth.root_hash === proof.root_hash;
  if (!isOfHead || !Number.isSafeInteger(tree_size) || !Number.isSafeInteger(leaf_index)) return false;
  if (leaf_index < 0 || leaf_index >= tree_size || proof.audit_path.length > MAX_PATH) return false;
  let index = BigInt(leaf_index);
  let last = BigInt(tree_size) - 1n;
  let hash = bytes(proof.leaf_hash);
  for (const hex of proof.audit_path) {
    if (last === 0n) return false;
    if (index & 1n || index === last) {
      hash = await nodeHash(bytes(hex), hash);
      while (!(index & 1n) && index !== 0n) {
        index >>= 1n;
        last >>= 1n;
      }
    } else {
      hash = await nodeHash(hash, bytes(hex));
    }
    index >>= 1n;
    last >>= 1n;
  }
  if (last !== 0n || !equal(hash, bytes(proof.root_hash))) return false;
  const key = await crypto.subtle.importKey("raw", bytes(publicKey), "Ed25519", false, ["verify"]);
  const signed = new TextEncoder().encode(`sth:${sth.tree_size}:${sth.root_hash}:${sth.signed_at}`);
  return crypto.subtle.verify("Ed25519", key, bytes(sth.signature), signed);
}

async function nodeHash(left: Uint8Array<ArrayBuffer>, right: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array([1, ...left, ...right])));
}

function bytes(hex: string): Uint8Array<ArrayBuffer> {
  if (!/^(?:[0-9a-f]{2})*$/.test(hex)) throw new TypeError(`${JSON.stringify(hex)} is not hexadecimal`);
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function equal(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}
