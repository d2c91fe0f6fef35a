import { createMask } from "../audit/mask.ts";
import type { SecretService } from "../secrets/service.ts";

/** Masks the values of all secrets of the vault, those too that it has masked before and that have been rotated or deleted since. */
export class AuditMask {
  readonly #secrets: SecretService;
  readonly #known = new Map<string, Set<string>>();
  #mask: ((text: string) => string) | undefined;

  constructor(secrets: SecretService) {
    this.#secrets = secrets;
    secrets.onChange(() => {
      this.#mask = undefined;
    });
  }

  /** Throws VAULT_KEY_…, SECRET_DAMAGED: what cannot be read cannot be masked. */
  mask(text: string): string {
    this.#mask ??= this.#create();
    return this.#mask(text);
  }

  #create(): (text: string) => string {
    const grants = this.#secrets.list().map(({ name }) => ({ name }));
    for (const { name, value } of this.#secrets.granted(grants)) {
      const values = this.#known.get(name) ?? new Set();
      this.#known.set(name, values.add(value()));
    }
    return createMask([...this.#known].flatMap(([name, values]) => [...values].map((value) => ({ name, value }))));
  }
}
