// What every driver does with its client, and how it tells the test: one JSON object a line.

import { once } from "node:events";

export const { CLIENT_URL: URL, CLIENT_TOOL: TOOL, CLIENT_NEW_TOOL: NEW_TOOL } = process.env;
export const ARGUMENTS = { a: 20, b: 22 };
export const HEADERS = { authorization: `Bearer ${process.env.CLIENT_TOKEN}` };

export const tell = (what, found = null) => console.log(JSON.stringify([what, found]));

// Something that is waited for, once or again and again.
export class Signal {
  #set = false;
  #wake = () => {};

  set() {
    this.#set = true;
    this.#wake();
  }

  async wait() {
    if (!this.#set) await new Promise((resolve) => (this.#wake = resolve));
    this.#set = false;
  }
}

// Sets the signal when the stream of the older era is open.
export const watching = (listening) => async (url, options) => {
  const answer = await fetch(url, options);
  if (options?.method === "GET" && answer.ok) listening.set();
  return answer;
};

// Without `listening` and `changed`, the test says when to look.
export async function play(names, call, listening, changed) {
  tell("listed", await names());
  tell("called", await call());
  if (listening) await listening.wait();
  tell("ready");
  for (;;) {
    if (changed) {
      await changed.wait();
      tell("told");
    } else {
      await once(process.stdin, "data");
    }
    const found = await names();
    if (found.includes(NEW_TOOL) || !changed) {
      tell("listed again", found);
      process.exit(0);
    }
  }
}
