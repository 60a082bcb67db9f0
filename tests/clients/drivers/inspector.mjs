// The Inspector's command line, in the era that it is told: it asks once and ends, so it listens
// to nothing.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { ARGUMENTS, HEADERS, TOOL, URL as address, play } from "./story.mjs";

const era = process.argv[2];
const inspector = "../node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js";

async function inspect(...method) {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      new URL(inspector, import.meta.url).pathname,
      ...["--cli", address, "--transport", "http", "--protocol-era", era],
      ...["--header", `authorization: ${HEADERS.authorization}`, "--format", "json"],
      ...["--quiet", "--method", ...method],
    ],
    { maxBuffer: 2 ** 24 },
  );
  return JSON.parse(stdout).result ?? JSON.parse(stdout);
}

await play(
  // Strict: it fails where a schema is not one that every client can use.
  async () => (await inspect("tools/list", "--strict")).tools.map((tool) => tool.name),
  async () => {
    const given = JSON.stringify(ARGUMENTS);
    return (await inspect("tools/call", "--tool-name", TOOL, "--tool-args-json", given))
      .structuredContent;
  },
);
