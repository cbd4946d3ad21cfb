// readme.mjs README FOLDER: each TypeScript block of the README becomes a program there, which the tests check and run.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

const [readme, folder] = process.argv.slice(2);
const blocks = [...(await readFile(readme, "utf8")).matchAll(/^```ts\n(.*?)^```$/gms)].map(([, text]) => text);
await mkdir(folder, { recursive: true });
await Promise.all(blocks.map((text, index) => writeFile(join(folder, `block${index + 1}.ts`), text)));
