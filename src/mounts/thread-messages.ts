import type { FileServerOptions } from "./file-server.ts";

/** What goes to the thread that serves files, in order, and what comes back. Mounts are counted by whoever opens them. */
export type ToThread =
  | { kind: "open"; mount: number; options: FileServerOptions }
  | { kind: "frame"; mount: number; bytes: Uint8Array }
  | { kind: "close"; mount: number };

export type FromThread =
  | { kind: "opened"; mount: number; isFile: boolean }
  | { kind: "failed"; mount: number; errno: number }
  | { kind: "answer"; mount: number; bytes: Uint8Array }
  | { kind: "malformed"; mount: number; reason: string };
