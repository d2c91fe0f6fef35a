import { randomBytes } from "node:crypto";
import {
  MIN_PROXIED_LENGTH,
  type Secret,
  type SecretGrant,
  type SecretPlace,
  type SecretSet,
} from "../contract/secret.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import { findNearest } from "../errors/nearest.ts";
import { makePlaceholder } from "./placeholder.ts";
import type { SecretRecord, SecretStore } from "./secret-store.ts";
import type { Vault } from "./vault.ts";

/** A secret that a VM may use; `value` decrypts. */
export interface GrantedSecret {
  name: string;
  placeholder: string;
  hosts: readonly string[];
  places: readonly SecretPlace[];
  expose: Secret["expose"];
  value: () => string;
}

export interface SecretServiceOptions {
  store: SecretStore;
  vault: Vault;
  /** The VMs that have been granted a secret, by its name. */
  usersOf: (secret: string) => { id: string; name: string }[];
  /** Throws when the texts are no hosts of rules. */
  checkHosts: (hosts: readonly string[]) => void;
}

/** The secrets of one installation. Values leave it by `granted` alone. */
export class SecretService {
  readonly #options: SecretServiceOptions;
  readonly #listeners = new Set<(secret: string) => void>();

  constructor(options: SecretServiceOptions) {
    this.#options = options;
  }

  list(): Secret[] {
    return this.#options.store.list().map((record) => this.#toSecret(record));
  }

  /** Throws SECRET_NOT_FOUND. */
  get(name: string): Secret {
    return this.#toSecret(this.#require(name));
  }

  /** A new secret, or other settings and another value of one that is there, whose placeholder stays. Throws SECRET_INVALID, VAULT_KEY_… */
  set(name: string, request: SecretSet): Secret {
    const { store, vault } = this.#options;
    const existing = store.get(name);
    const expose = request.expose ?? existing?.expose ?? "proxy";
    const hosts = request.hosts ?? existing?.hosts ?? [];
    // What a VM's memory has held, it may hold still.
    if (existing?.expose === "env" && expose === "proxy") this.#requireUnused(name);
    this.#options.checkHosts(hosts);
    checkValue(request.value, expose);
    const now = new Date().toISOString();
    const id = existing?.id ?? randomBytes(6).toString("hex");
    const record: SecretRecord = {
      id,
      name,
      hosts,
      places: request.places ?? existing?.places ?? ["header"],
      expose,
      placeholder: existing?.placeholder ?? makePlaceholder(request.value),
      createdAt: existing?.createdAt ?? now,
      ...(existing === undefined ? {} : { rotatedAt: now }),
      sealed: vault.seal(request.value, aboutOf(id, name)),
    };
    store.put(record);
    this.#tell(name);
    return this.#toSecret(record);
  }

  /** Another value of the same secret: running VMs use it with their next request. Throws SECRET_NOT_FOUND, SECRET_INVALID. */
  rotate(name: string, value: string): Secret {
    this.#require(name);
    return this.set(name, { value });
  }

  /** Throws SECRET_IN_USE unless forced; VMs that use it go on with a placeholder that stands for nothing. */
  delete(name: string, isForced: boolean): void {
    this.#require(name);
    if (!isForced) this.#requireUnused(name);
    this.#options.store.remove(name);
    this.#tell(name);
  }

  #requireUnused(name: string): void {
    const users = this.#options.usersOf(name).map((vm) => vm.name);
    if (users.length === 0) return;
    throw new FirebreakError("SECRET_IN_USE", `${users.map((vm) => `'${vm}'`).join(", ")} may use the secret ${name}`, {
      hint: "Take it from them first: firebreak vm policy set VM … --no-secrets, or delete the VMs.",
      details: { vms: users },
    });
  }

  /** Throws SECRET_NOT_FOUND, SECRET_INVALID when a grant names hosts that the secret is not for. */
  check(grants: readonly SecretGrant[]): void {
    for (const { name, hosts } of grants) {
      const secret = this.#require(name);
      if (hosts !== undefined) this.#options.checkHosts(hosts);
      if (secret.expose === "proxy" && (hosts ?? secret.hosts).length === 0)
        throw new FirebreakError("SECRET_INVALID", `nobody has said which hosts the secret ${name} is for`, {
          hint: `Say it for this VM (--secret ${name}@HOST), or for all: firebreak secret set ${name} --host HOST`,
        });
    }
  }

  /** Those of the grants that are still there. */
  granted(grants: readonly SecretGrant[]): GrantedSecret[] {
    return grants.flatMap(({ name, hosts }) => {
      const record = this.#options.store.get(name);
      if (record === undefined) return [];
      const { id, placeholder, places, expose } = record;
      const value = () => {
        const sealed = this.#options.store.get(name)?.sealed ?? record.sealed;
        const text = this.#options.vault.open(sealed, aboutOf(id, name));
        if (text !== undefined) return text;
        throw new FirebreakError("SECRET_DAMAGED", `what is kept of the secret ${name} has been altered`, {
          hint: `Give it its value again: firebreak secret rotate ${name}`,
        });
      };
      return [{ name, placeholder, places, expose, hosts: hosts ?? record.hosts, value }];
    });
  }

  /** Calls with a secret's name when it has been set, rotated or deleted; returns what ends that. */
  onChange(listener: (secret: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #require(name: string): SecretRecord {
    const record = this.#options.store.get(name);
    if (record !== undefined) return record;
    const nearest = findNearest(
      name,
      this.#options.store.list().map((each) => each.name),
    );
    throw new FirebreakError("SECRET_NOT_FOUND", `there is no secret ${name}`, {
      hint: nearest === undefined ? `Set it: firebreak secret set ${name} --host HOST` : `Did you mean ${nearest}?`,
    });
  }

  #tell(name: string): void {
    for (const listener of this.#listeners) listener(name);
  }

  #toSecret({ id: _id, sealed: _sealed, ...facts }: SecretRecord): Secret {
    return { ...facts, vms: this.#options.usersOf(facts.name).map((vm) => vm.name) };
  }
}

const aboutOf = (id: string, name: string) => `${id}:${name}`;

function checkValue(value: string, expose: Secret["expose"]): void {
  if (expose === "env") return;
  const why = /[^\x20-\x7e]/.test(value)
    ? "a value with line breaks, or other characters than those of ASCII, cannot stand in a header"
    : value.length < MIN_PROXIED_LENGTH
      ? `a value of less than ${MIN_PROXIED_LENGTH} characters would be found where it is none`
      : undefined;
  if (why !== undefined)
    throw new FirebreakError("SECRET_INVALID", why, {
      hint: "A VM can have it as it is: --expose env",
    });
}
