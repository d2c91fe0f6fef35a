import type { NatKind } from "../contract/nat.ts";

/** How the host has been set up for network cards. */
export interface NatSetUp {
  kind: NatKind;
  subnet: string;
  nameservers?: string[];
  /** The host was no router before. */
  hasSetForwarding: boolean;
}

/** What one daemon leaves to the next. A write is durable before it returns. */
export interface NatSettings {
  get(): NatSetUp | undefined;
  set(setUp: NatSetUp | undefined): void;
}
