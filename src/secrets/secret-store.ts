import type { Secret } from "../contract/secret.ts";

/** A secret as it is kept; `sealed` is for the vault. */
export interface SecretRecord extends Omit<Secret, "vms"> {
  id: string;
  sealed: Uint8Array;
}

/** Where secrets are kept. A write is durable before it returns. */
export interface SecretStore {
  put(record: SecretRecord): void;
  remove(name: string): void;
  get(name: string): SecretRecord | undefined;
  list(): SecretRecord[];
}

/** What is known of the vault besides its key. */
export interface VaultState {
  /** What tells the vault's key from others, as it was last kept. */
  readCheck: () => string | undefined;
  keepCheck: (check: string) => void;
  /** Whether anything is sealed: the key that it needs is not replaced. */
  holdsAny: () => boolean;
}
