import { z } from "zod";
import { FirebreakError } from "../errors/firebreak-error.ts";

/** Where the daemon listens besides its UNIX socket. */

const hostName = z
  .string()
  .max(253)
  .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/, "a host name, without a port");

export const listenSchema = z.strictObject({
  address: z
    .string()
    .max(300)
    .describe("HOST:PORT; an IPv6 address in brackets; port 0 takes a free one at each start"),
  allowedHosts: z
    .array(hostName)
    .max(64)
    .optional()
    .describe("names, besides localhost and IP addresses, that requests may reach the daemon by"),
});
export type ListenRequest = z.input<typeof listenSchema>;

export const listenStatusSchema = z.object({
  address: z.string().describe("as it was asked for"),
  allowedHosts: z.array(z.string()),
  url: z.string().optional().describe("where it is reached; absent while it does not listen"),
  error: z.string().optional().describe("why it does not listen"),
});
export type ListenStatus = z.infer<typeof listenStatusSchema>;

/** `127.0.0.1:9600`, `[::1]:9600`, `localhost:9600`. Throws INVALID_ARGUMENT. */
export function parseAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || !(port <= 65_535)) {
    throw new FirebreakError("INVALID_ARGUMENT", `'${address}' is not HOST:PORT`, {
      hint: "Such as 127.0.0.1:9600 or [::1]:9600.",
      details: { field: "address" },
    });
  }
  return { host, port };
}
