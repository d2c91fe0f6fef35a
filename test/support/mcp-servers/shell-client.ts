import type { Client } from "@modelcontextprotocol/client";
import { callText } from "./gateway-client.ts";

/** What runs a command in the VM of a shell server (shell-server.ts) and gives back its output; rejects when it fails. */
export function shellOf(client: Client): (command: string) => Promise<string> {
  return (command) => callText(client, "sh", { command });
}
