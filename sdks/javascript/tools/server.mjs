// A haldir server with an empty store of its own, for the generator and the tests.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const START_MS = 20_000;
const STOP_MS = 15_000;
const LOG_CHARACTERS = 4_000;

/** Starts `program serve` with more `flags`. `stop` ends it, and removes its store. */
export async function startServer(program, flags = []) {
  const home = await mkdtemp(join(tmpdir(), "haldir-sdk-"));
  const child = spawn(program, ["serve", "--listen", "127.0.0.1:0", "--db", join(home, "haldir.db"), ...flags], {
    env: { PATH: process.env.PATH, HOME: home },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (log = (log + text).slice(-LOG_CHARACTERS)));
  const ended = new Promise((resolve) => child.once("close", resolve));
  const stop = async () => {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    await ended;
    clearTimeout(timer);
    await rm(home, { recursive: true, force: true });
  };
  const line = await Promise.race([
    new Promise((resolve) => createInterface({ input: child.stdout }).once("line", resolve)),
    ended.then(() => ""),
    new Promise((resolve) => setTimeout(resolve, START_MS, "").unref()),
  ]);
  const url = /^haldir listening on (http:\/\/\S+)$/.exec(line)?.[1];
  if (!url) {
    await stop();
    throw new Error(`${program} printed ${JSON.stringify(line)} instead of its address:\n${log}`);
  }
  return { url, stop };
}
