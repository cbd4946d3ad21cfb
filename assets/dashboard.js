// The script of the dashboard. Pages work without it; with it they follow the log, tell of new requests, and verify proofs.
'use strict';

// The page fetches itself again when the log has grown, and replaces its live sections.
const REFRESH_AFTER_MS = 250;
let known = document.body.dataset.logSize;
let timer = null;

function isInUse(section) {
  return section.contains(document.activeElement) && document.activeElement !== document.body
    || section.querySelector('details[open]') !== null;
}

async function refresh() {
  timer = null;
  const response = await fetch(location.href, { headers: { 'X-Haldir-Live': '1' }, redirect: 'manual' });
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), 'text/html');
  for (const section of document.querySelectorAll('[data-live]')) {
    const next = fresh.getElementById(section.id);
    // What a person is about to use stays where it is.
    if (next && !isInUse(section) && next.innerHTML !== section.innerHTML) section.replaceWith(next);
  }
  localTimes(document);
  tellOfRequests();
}

function listen() {
  const events = new EventSource('/dashboard/live');
  events.addEventListener('change', (event) => {
    if (event.data === known) return;
    known = event.data;
    if (timer === null) timer = setTimeout(refresh, REFRESH_AFTER_MS);
  });
}

// Times are in UTC on the page; the reader's own time stands beside.
function localTimes(root) {
  for (const time of root.querySelectorAll('time:not([title])')) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) time.title = at.toLocaleString();
  }
}

// Requests that wait for a decision, by the links to them.
let told = new Set();

function waiting() {
  const links = document.querySelectorAll('#waiting a[href^="/dashboard/approvals/"]');
  return [...links].map((link) => link.getAttribute('href'));
}

function tellOfRequests() {
  const fresh = waiting().filter((href) => !told.has(href));
  told = new Set(waiting());
  if (fresh.length === 0 || !('Notification' in window) || Notification.permission !== 'granted') return;
  const notification = new Notification('haldir: a request waits for a decision', { tag: 'haldir-approval' });
  notification.onclick = () => { window.focus(); location.href = fresh[0]; };
}

function offerNotifications() {
  const section = document.getElementById('waiting');
  if (!section || !('Notification' in window) || Notification.permission !== 'default') return;
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'quiet';
  button.textContent = 'Notify me of new requests';
  button.addEventListener('click', async () => { await Notification.requestPermission(); button.remove(); });
  section.before(button);
}

// The proof of an entry: RFC 8785 canonical bytes, RFC 6962 inclusion, RFC 8032 signature of the tree head.
const bytesOf = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const hexOf = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');

async function sha256(...parts) {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let end = 0;
  for (const part of parts) { all.set(part, end); end += part.length; }
  return new Uint8Array(await crypto.subtle.digest('SHA-256', all));
}

// Members in the order of their names' UTF-16 code units; JSON.stringify writes texts and integers as RFC 8785 wants them.
function canonical(entry) {
  const members = Object.keys(entry).sort().map((name) => JSON.stringify(name) + ':' + JSON.stringify(entry[name]));
  return new TextEncoder().encode('{' + members.join(',') + '}');
}

// RFC 9162, section 2.1.3.2.
async function rootOf(leaf, index, size, path) {
  let [node, last, hash] = [BigInt(index), BigInt(size) - 1n, leaf];
  for (const text of path) {
    if (last === 0n) return null;
    const sibling = bytesOf(text);
    if ((node & 1n) === 1n || node === last) {
      hash = await sha256(Uint8Array.of(1), sibling, hash);
      while ((node & 1n) === 0n && node !== 0n) { node >>= 1n; last >>= 1n; }
    } else {
      hash = await sha256(Uint8Array.of(1), hash, sibling);
    }
    node >>= 1n;
    last >>= 1n;
  }
  return last === 0n ? hash : null;
}

async function isSigned(head) {
  const key = await crypto.subtle.importKey('raw', bytesOf(head.public_key), 'Ed25519', false, ['verify']);
  const text = new TextEncoder().encode(`sth:${head.tree_size}:${head.root_hash}:${head.signed_at}`);
  return crypto.subtle.verify('Ed25519', key, bytesOf(head.signature), text);
}

async function problemOf(entry, proof) {
  if (!crypto.subtle) return 'this browser verifies proofs only over https or on this machine';
  const leaf = await sha256(Uint8Array.of(0), canonical(entry));
  if (hexOf(leaf) !== proof.leaf_hash) return 'the entry on this page is not the one that was recorded: it was altered';
  const root = await rootOf(leaf, proof.leaf_index, proof.tree_size, proof.audit_path);
  if (root === null || hexOf(root) !== proof.root_hash) return 'the proof does not lead to the root of the tree';
  const head = proof.sth;
  if (head.root_hash !== proof.root_hash || head.tree_size !== proof.tree_size) return 'the signed head is of another tree';
  if (!await isSigned(head)) return 'the signature of the tree head is wrong';
  return null;
}

async function verify(place) {
  const result = place.querySelector('.result');
  let problem;
  try {
    problem = await problemOf(JSON.parse(place.dataset.entry), JSON.parse(place.dataset.proof));
  } catch (error) {
    problem = `it could not be checked: ${error.message}`;
  }
  const proof = JSON.parse(place.dataset.proof);
  result.dataset.ok = String(problem === null);
  result.textContent = problem === null
    ? `Verified: this entry is number ${proof.leaf_index + 1} of ${proof.tree_size} under the root ${proof.root_hash}, `
      + `signed by the key ${proof.sth.key_id}.`
    : `Broken: ${problem}.`;
}

// A key that is shown once is copied by a button.
async function copy(button) {
  await navigator.clipboard.writeText(button.closest('.secret').querySelector('pre').textContent);
  button.textContent = 'Copied';
}

// The clipboard is there over https and on this machine only.
for (const button of document.querySelectorAll('[data-copy]')) button.hidden = !navigator.clipboard;

// Fields that do not go with the chosen kind are hidden, and are not sent.
function showFields(select) {
  for (const label of select.form.querySelectorAll('label[data-only]')) {
    const goes = label.dataset.only.split(' ').includes(select.value);
    label.hidden = !goes;
    label.querySelector('input, select, textarea').disabled = !goes;
  }
}

for (const select of document.querySelectorAll('select[name="type"]')) {
  select.addEventListener('change', () => showFields(select));
  showFields(select);
}

document.addEventListener('click', (event) => {
  if (event.target.matches('[data-copy]')) copy(event.target);
  if (event.target.matches('[data-verify]')) verify(event.target.closest('.proof'));
});

// What a form came to is where the keyboard is.
document.querySelector('.alert[tabindex], #state, #once pre')?.focus();

localTimes(document);
if (document.querySelector('[data-live]')) {
  told = new Set(waiting());
  offerNotifications();
  listen();
}
