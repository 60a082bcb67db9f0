// The TypeScript SDK in its second version, in the era that it is told.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

import { ARGUMENTS, HEADERS, Signal, TOOL, URL as address, play, watching } from "./story.mjs";

const era = process.argv[2];
const [listening, changed] = [new Signal(), new Signal()];
const client = new Client(
  { name: "driven", version: "1" },
  { versionNegotiation: { mode: era === "legacy" ? era : { pin: era } } },
);
client.setNotificationHandler("notifications/tools/list_changed", () => changed.set());
await client.connect(
  new StreamableHTTPClientTransport(new URL(address), {
    requestInit: { headers: HEADERS },
    fetch: watching(listening),
  }),
);
if (era !== "legacy") {
  await client.listen({ toolsListChanged: true });
  listening.set();
}
await play(
  async () => (await client.listTools()).tools.map((tool) => tool.name),
  async () => (await client.callTool({ name: TOOL, arguments: ARGUMENTS })).structuredContent,
  listening,
  changed,
);
