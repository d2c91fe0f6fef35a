import type { Server } from "../../../../src/contract/server.ts";

/** Where a server is in the API, and where its page is. */
export const serverPath = (server: string, rest = ""): string => `/v1/servers/${encodeURIComponent(server)}${rest}`;
export const serverHref = (server: string, tab?: string): string =>
  `/mcp-servers/${encodeURIComponent(server)}${tab === undefined ? "" : `/${tab}`}`;

/** Whether it has told what it offers: only then can its tools be looked at without starting it for the first time. */
export const isPrepared = ({ state }: Server): boolean => state === "running" || state === "stopped";
