import path from "node:path";
import type { Place } from "./client.ts";

/** Where programs with windows keep a user's settings. */
export function desktopFolder({ platform, env, home }: Place): string {
  if (platform === "darwin") return path.join(home, "Library", "Application Support");
  if (platform === "win32") return env.APPDATA || path.join(home, "AppData", "Roaming");
  return env.XDG_CONFIG_HOME || path.join(home, ".config");
}
