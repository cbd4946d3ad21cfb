import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { house } from "./house.ts";
import { openAI } from "./model.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..");
const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as {
  version: string;
  exports: Record<string, { types: string; default: string }>;
  dependencies?: object;
};
const MAX_PACKED_BYTES = 100_000;
await house();
const model = await openAI();

test("the package has the version of the program, and no dependencies", async () => {
  const workspace = await readFile(join(root, "Cargo.toml"), "utf8");
  assert.equal(manifest.version, /^version = "(.+)"$/m.exec(workspace)?.[1]);
  assert.equal(manifest.dependencies, undefined);
});

test("the package has the compiled code, the README and the licence, is small, and works alone", async () => {
  const packed = process.env["HALDIR_SDK_PACKED"]!;
  const { stdout } = await run("tar", ["-tzf", packed]);
  const paths = stdout.trim().split("\n").map((path) => path.replace("package/", ""));
  const others = paths.filter((path) => !/^dist\/(generated\/)?[\w-]+\.(js|d\.ts)$/.test(path)).sort();
  assert.deepEqual(others, ["LICENSE", "README.md", "package.json"]);
  for (const { types, default: code } of Object.values(manifest.exports)) {
    for (const path of [types, code]) assert.ok(paths.includes(path.replace("./", "")), path);
  }
  const { size } = await stat(packed);
  assert.ok(size < MAX_PACKED_BYTES, `${size} bytes`);
  const folder = await mkdtemp(join(tmpdir(), "haldir-sdk-"));
  try {
    const installed = join(folder, "node_modules/@haldir/client");
    await mkdir(installed, { recursive: true });
    await run("tar", ["-xzf", packed, "--strip-components=1", "-C", installed]);
    const program = 'import { HaldirClient } from "@haldir/client"; console.log((await new HaldirClient().healthCheck()).status)';
    const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", program], { cwd: folder });
    assert.equal(stdout, "ok\n");
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("the compiled code imports nothing but itself and the framework of its adapter", async () => {
  const allowed: Record<string, string[]> = { "ai.js": ["ai"], "langchain.js": ["langchain"], "openai-agents.js": ["@openai/agents"] };
  for (const file of await readdir(join(root, "dist"), { recursive: true })) {
    if (!file.endsWith(".js")) continue;
    const text = await readFile(join(root, "dist", file), "utf8");
    const imported = [...text.matchAll(/\bfrom "([^".][^"]*)"/g)].map(([, name]) => name!);
    assert.deepEqual(imported.filter((name) => !allowed[file]?.includes(name)), [], file);
  }
});

const EXPECTED: [output: RegExp, calls?: [string, object][]][] = [
  [/^budget_exceeded amount .* 7\.01$/m],
  [/^0\.3$/m],
  [/did not allow the call of delete[^]*three books 0\.0023 \[[^]*(aud_\S+ true\n){3}/],
  [/^done 0\.00675 \[\]$/m, [["search", { query: "book" }], ["buy", { item: "book", price: "12.99" }]]],
  [/^done 0\.0045 \[\]$/m, [["search", { query: "book" }]]],
  [/^done 0\.0045 \[\]$/m, [["search", { query: "book" }]]],
  [/^done 0\.0045 \[\]$/m, [["search", { query: "book" }]]],
];

const isQuick = Boolean(process.env["HALDIR_SDK_QUICK"]);

test("the README's programs do what it says", async () => {
  const folder = join(root, "examples/readme");
  const files = (await readdir(folder)).sort();
  assert.equal(files.length, EXPECTED.length);
  for (const [index, [output, calls = []]] of EXPECTED.entries()) {
    if (isQuick && calls) continue; // the examples of the frameworks are like them
    model.calls = calls ?? [];
    const environment = { ...process.env, OPENAI_AGENTS_DISABLE_TRACING: "1" }; // nothing is reported from here
    const { stdout } = await run(process.execPath, [join(folder, files[index]!)], { timeout: 30_000, env: environment });
    assert.match(stdout, output, files[index]);
  }
});
