import path from "node:path";
import { MAX_FIREJAIL_PROFILE, type ServerConfig } from "../../contract/server.ts";
import { readTextFiles } from "../../platform/text-files.ts";
import { normaliseName } from "./names.ts";

/** The servers of a file, each with the profile of Firejail that stands beside it as profiles/NAME.profile. Throws CONFIG_INVALID for one that is none. */
export function withFirejailProfiles(servers: readonly ServerConfig[], file: string): ServerConfig[] {
  const folder = path.join(path.dirname(path.resolve(file)), "profiles");
  const profiles = new Map<string, string>();
  for (const [name, text] of readTextFiles(folder, ".profile", MAX_FIREJAIL_PROFILE))
    profiles.set(normaliseName(name), text);
  return servers.map((server) => {
    const firejail = profiles.get(server.name);
    return firejail === undefined || server.kind === "remote" ? server : { ...server, firejail };
  });
}
