import { toFirebreakError } from "../errors/firebreak-error.ts";
import type { Login, LoginStore } from "../gateway/oauth/logins.ts";
import type { Vault } from "../secrets/vault.ts";

/** Where sealed logins are. */
export interface SealedStore {
  get(server: string): Uint8Array | undefined;
  put(server: string, sealed: Uint8Array): void;
  remove(server: string): boolean;
}

const aboutOf = (server: string) => `login:${server}`;

/** Logins at MCP servers, sealed with the vault's key, each for its own server. */
export function sealLogins(
  store: SealedStore,
  vault: Vault,
  log: (message: string, fields: Record<string, unknown>) => void,
): LoginStore {
  return {
    get: (server) => {
      const sealed = store.get(server);
      if (sealed === undefined) return undefined;
      try {
        const text = vault.open(sealed, aboutOf(server));
        if (text !== undefined) return JSON.parse(text) as Login;
        log("a login has been altered, and is not used", { server });
      } catch (thrown) {
        log("a login cannot be opened", { server, error: toFirebreakError(thrown).message });
      }
      return undefined;
    },
    put: (server, login) => store.put(server, vault.seal(JSON.stringify(login), aboutOf(server))),
    remove: (server) => store.remove(server),
  };
}
