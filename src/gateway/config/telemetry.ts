import { existsSync, readFileSync } from "node:fs";
import { isOff, tracesUrlOf } from "../../telemetry/environment.ts";
import type { TelemetrySettings } from "../../telemetry/start.ts";
import { readFirebreakToml, readOwnerTables } from "./firebreak-toml.ts";

/** `[telemetry]` of an installation's firebreak.toml; where that names no place, the environment may. Throws CONFIG_INVALID. */
export function readTelemetry(file: string, env: NodeJS.ProcessEnv): TelemetrySettings {
  if (isOff(env)) return { url: undefined, sample: 1 };
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  const { traces, sample = 1 } = readOwnerTables(readFirebreakToml(text, file)).telemetry ?? {};
  return { url: traces ?? tracesUrlOf(env), sample };
}
