// generate.mjs PROGRAM FOLDER [--check]: the types of the API, by openapi-typescript, and a table of its operations.
// The OpenAPI document says that an amount of money is a number, because it is one in JSON. Here it becomes a decimal text, so
// that it stays exact; the table says where amounts stand.
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { startServer } from "./server.mjs";

const [program, folder, mode] = process.argv.slice(2);
const packages = createRequire(join(process.env.GENERATOR_PACKAGES, "none.js"));
const { default: openapiTS, astToString } = await import(pathToFileURL(packages.resolve("openapi-typescript").replace(/\.cjs$/, ".mjs")));
const { default: ts } = await import(pathToFileURL(packages.resolve("typescript")));

const MONEY_EXAMPLE = 29.99; // how the server's schemas mark an amount: every one of them has this example, and nothing else has
const HEADER = "// Written by sdks/javascript/generate from the server's OpenAPI document. Do not edit.\n";
const METHODS = ["get", "post", "put", "delete", "patch"];

const server = await startServer(program);
let document;
try {
  document = await (await fetch(`${server.url}/openapi.json`)).json();
} finally {
  await server.stop();
}

const schemas = document.components.schemas;
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods)
    .filter(([method]) => METHODS.includes(method))
    .map(([method, operation]) => ({ path, method, operation })),
);

const isMoney = (schema) => schema.examples?.includes(MONEY_EXAMPLE) ?? false;

/** Where amounts stand in a value of the schema: `true` at an amount, "*" for every item or member; undefined without one. */
function amounts(schema, above = []) {
  if (isMoney(schema)) return true;
  if (schema.$ref) {
    if (above.includes(schema.$ref)) return undefined;
    return amounts(schemas[schema.$ref.split("/").at(-1)], [...above, schema.$ref]);
  }
  const found = {};
  const add = (name, part) => {
    const inner = amounts(part, above);
    if (inner) found[name] = inner;
  };
  for (const [name, part] of Object.entries(schema.properties ?? {})) add(name, part);
  for (const part of [schema.items, schema.additionalProperties]) if (part && typeof part === "object") add("*", part);
  for (const part of [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])]) {
    const inner = amounts(part, above);
    if (inner === true) return true;
    Object.assign(found, inner);
  }
  return Object.keys(found).length ? found : undefined;
}

function jsonSchema(content) {
  return content?.["application/json"]?.schema;
}

/** One line of the table of operations. */
function describe({ path, method, operation }) {
  const named = (place) => (operation.parameters ?? []).filter((parameter) => parameter.in === place).map(({ name }) => name);
  const responses = Object.values(operation.responses).map(({ content }) => jsonSchema(content));
  const [, success] = Object.entries(operation.responses).find(([status]) => status.startsWith("2"));
  const types = Object.keys(success.content ?? {});
  const request = jsonSchema(operation.requestBody?.content);
  return {
    method: method.toUpperCase(),
    path,
    query: named("query"),
    ...(operation.requestBody && { body: true }),
    ...(named("header").includes("Idempotency-Key") && { idempotent: true }),
    answer: types.length === 0 ? "nothing" : types.length === 1 && types[0] === "application/json" ? "json" : "response",
    ...(request && amounts(request) && { sent: amounts(request) }),
    ...(responses.some((schema) => schema && amounts(schema)) && {
      received: Object.assign({}, ...responses.map((schema) => (schema && amounts(schema)) ?? {})),
    }),
  };
}

/** The document without error responses and the idempotency key, which the client handles: they make the types ten times as long. */
function shortened() {
  const copy = structuredClone(document);
  for (const methods of Object.values(copy.paths)) {
    for (const operation of METHODS.map((method) => methods[method]).filter(Boolean)) {
      for (const status of Object.keys(operation.responses)) if (!status.startsWith("2")) delete operation.responses[status];
      operation.parameters = operation.parameters?.filter((parameter) => parameter.in !== "header");
    }
  }
  return copy;
}

const reference = (name) => ts.factory.createTypeReferenceNode(name);
const types = await openapiTS(shortened(), {
  defaultNonNullable: false, // a field with a default need not be sent
  inject: 'import type { Amount, AmountInput } from "../money.js";\n',
  transform(schema, { path }) {
    if (!isMoney(schema)) return undefined;
    const amount = reference(/\/\w+Request\b/.test(path) ? "AmountInput" : "Amount");
    const nullable = schema.anyOf?.some((part) => part.type === "null");
    return nullable ? ts.factory.createUnionTypeNode([amount, ts.factory.createLiteralTypeNode(ts.factory.createNull())]) : amount;
  },
});
const dropped = ["paths", "webhooks", "$defs"]; // the table of operations has the paths
const kept = types.filter((node) => !dropped.includes(node.name?.text));
const table = operations.map((one) => `  ${one.operation.operationId}: ${JSON.stringify(describe(one))},`).join("\n");
const comment = (text) => text.replaceAll("*/", "*\\/").trim().split("\n").map((line) => `   *${line && ` ${line}`}`).join("\n");
const methods = operations
  .map(({ operation }) => `  /**\n${comment(operation.description ?? operation.summary)}\n   */\n  ${operation.operationId}: Method<"${operation.operationId}">;`)
  .join("\n");
const files = {
  "api.ts": HEADER + astToString(kept),
  "operations.ts":
    `${HEADER}import type { Method, Operation } from "../operation.js";\n\n/** How each operation is called. */\n` +
    `export const OPERATIONS = {\n${table}\n} as const satisfies Record<string, Operation>;\n\n` +
    `/** A method for each operation. */\nexport interface Methods {\n${methods}\n}\n\n` +
    `/** The version of the server that this was generated from. */\nexport const API_VERSION = ${JSON.stringify(document.info.version)};\n`,
};
for (const [name, text] of Object.entries(files)) {
  const file = join(folder, name);
  if (mode !== "--check") await writeFile(file, text);
  else if ((await readFile(file, "utf8").catch(() => "")) !== text) {
    console.error(`src/generated/${name} is out of date: run sdks/javascript/generate, and commit what it writes`);
    process.exitCode = 1;
  }
}
