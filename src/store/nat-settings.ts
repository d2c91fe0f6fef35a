import type { NatSettings, NatSetUp } from "../network/nat-settings.ts";
import type { SqliteSettings } from "./settings.ts";

const NAME = "network.nat";

/** How the host has been set up for network cards. */
export function natSettingsOf(settings: SqliteSettings): NatSettings {
  return {
    get: () => settings.get(NAME) as NatSetUp | undefined,
    set: (setUp) => (setUp === undefined ? settings.remove(NAME) : settings.set(NAME, setUp)),
  };
}
