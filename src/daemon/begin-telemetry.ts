import { toFirebreakError } from "../errors/firebreak-error.ts";
import { readTelemetry } from "../gateway/config/telemetry.ts";
import { startTelemetry } from "../telemetry/start.ts";

/** Traces are no reason not to serve: what is wrong with their configuration is told in the log. */
export async function beginTelemetry(
  configFile: string,
  version: string,
  log: (message: string, fields: Record<string, unknown>) => void,
): Promise<() => Promise<void>> {
  try {
    return await startTelemetry(readTelemetry(configFile, process.env), version, log);
  } catch (thrown) {
    log("no traces are recorded", { error: toFirebreakError(thrown).message });
    return async () => {};
  }
}
