import type { SecretStore, VaultState } from "../secrets/secret-store.ts";
import type { SqliteLoginStore } from "./logins.ts";
import type { SqliteSettings } from "./settings.ts";

const CHECK = "vault.check";

/** What the database knows of the vault's key. */
export function vaultStateOf(settings: SqliteSettings, secrets: SecretStore, logins: SqliteLoginStore): VaultState {
  return {
    readCheck: () => settings.get(CHECK) as string | undefined,
    keepCheck: (check) => settings.set(CHECK, check),
    holdsAny: () => secrets.list().length > 0 || !logins.isEmpty,
  };
}
