// A server for the tests of one file, and a client of it.
import { after } from "node:test";
import { HaldirClient, type ClientOptions } from "@haldir/client";
import { startServer } from "../tools/server.mjs";

export interface House {
  url: string;
  key: string;
  haldir: HaldirClient;
  client(options?: ClientOptions): HaldirClient;
}

/** A server with an operator's key, for the whole file. */
export async function house(flags: string[] = ["--rate-limits", "off"]): Promise<House> {
  const { url, stop } = await startServer(process.env["HALDIR_MCP"]!, flags);
  after(stop);
  const { key } = await new HaldirClient({ baseUrl: url, apiKey: "" }).createApiKey({ name: "operator", tier: "free" });
  const client = (options?: ClientOptions) => new HaldirClient({ baseUrl: url, apiKey: key, ...options });
  // The examples find the server in their environment, as a user's programs do.
  Object.assign(process.env, { HALDIR_BASE_URL: url, HALDIR_API_KEY: key });
  return { url, key, haldir: client(), client };
}
