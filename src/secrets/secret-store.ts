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
