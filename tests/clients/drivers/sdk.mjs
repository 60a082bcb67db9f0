// The TypeScript SDK in its first version; it speaks the older era alone.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ToolListChangedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";

import { ARGUMENTS, HEADERS, Signal, TOOL, URL as address, play, watching } from "./story.mjs";

const [listening, changed] = [new Signal(), new Signal()];
const client = new Client({ name: "driven", version: "1" });
client.setNotificationHandler(ToolListChangedNotificationSchema, () => changed.set());
await client.connect(
  new StreamableHTTPClientTransport(new URL(address), {
    requestInit: { headers: HEADERS },
    fetch: watching(listening),
  }),
);
await play(
  async () => (await client.listTools()).tools.map((tool) => tool.name),
  async () => (await client.callTool({ name: TOOL, arguments: ARGUMENTS })).structuredContent,
  listening,
  changed,
);
