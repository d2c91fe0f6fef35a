import { existsSync } from "node:fs";
import path from "node:path";
import { peekDaemon } from "../../../client/connect.ts";
import { createDaemonConnector } from "../../../mcp/daemon-connector.ts";
import { describeRegistrations } from "../../../mcp/registration.ts";
import { ToolRegistry } from "../../../mcp/registry.ts";
import { serveOverStreams } from "../../../mcp/stdio/serve.ts";
import { parseToolsets, toolsOf } from "../../../mcp/toolsets.ts";
import { PACKAGE_ROOT, readVersion } from "../../../platform/package-files.ts";
import { resolvePaths } from "../../../platform/paths.ts";
import { tracesUrlOf } from "../../../telemetry/environment.ts";

/** Serves MCP on stdin and stdout until stdin ends; at a terminal, says how to register it. */
export async function serveMcp({ toolsets }: { toolsets: string | undefined }): Promise<void> {
  const tools = toolsOf(parseToolsets(toolsets));
  if (process.stdin.isTTY) {
    process.stdout.write(describeRegistrations(path.join(PACKAGE_ROOT, "bin", "firebreak")));
    return;
  }
  // Clients end their servers by closing stdin, by a signal, or by both.
  const stop = signalOfEnd();
  const endTelemetry = await beginTelemetry();
  await serveOverStreams({
    input: process.stdin,
    output: process.stdout,
    registry: new ToolRegistry(tools),
    connect: createDaemonConnector(() => resolvePaths()),
    peek: () => peekDaemon(resolvePaths),
    version: readVersion(),
    stop,
    ...(process.env.FIREBREAK_DEBUG
      ? { onError: (error: Error) => void process.stderr.write(`firebreak: ${error.stack}\n`) }
      : {}),
  });
  await endTelemetry();
  // The client is gone: nothing that still waits (a daemon that is slow to start) may hold the process.
  process.exit(0);
}

/** A client is served all the same where traces are configured wrongly; the daemon's log tells of that. */
async function beginTelemetry(): Promise<() => Promise<void>> {
  try {
    const file = path.join(resolvePaths().home, "firebreak.toml");
    if (!existsSync(file) && tracesUrlOf(process.env) === undefined) return async () => {};
    const { readTelemetry } = await import("../../../gateway/config/telemetry.ts");
    const { startTelemetry } = await import("../../../telemetry/start.ts");
    return await startTelemetry(readTelemetry(file, process.env), readVersion(), () => {});
  } catch {
    return async () => {};
  }
}

/** Serves HTTP on loopback with the conformance suite's fixtures until it is told to end; prints where. */
export async function serveMcpFixtures(): Promise<void> {
  const { serveFixtures } = await import("../../../mcp/conformance/serve.ts");
  await serveFixtures({
    connect: createDaemonConnector(resolvePaths),
    peek: () => peekDaemon(resolvePaths),
    version: readVersion(),
    stop: signalOfEnd(),
    onListening: (url) => void process.stdout.write(`${url}\n`),
  });
  process.exit(0);
}

function signalOfEnd(): AbortSignal {
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => stopping.abort());
  return stopping.signal;
}
