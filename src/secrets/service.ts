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
import { checkAws, companionsOf } from "./aws.ts";
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
  /** It is the secret access key that belongs to that id (undefined: one that has been deleted), and is in no place. */
  aws?: { accessKeyId: Pick<GrantedSecret, "name" | "placeholder" | "value"> | undefined };
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
    const aws = request.aws === undefined ? existing?.aws : (request.aws ?? undefined);
    this.#options.checkHosts(hosts);
    checkValue(request.value, expose);
    if (aws !== undefined) checkAws({ name, aws, expose }, store.list());
    const now = new Date().toISOString();
    const id = existing?.id ?? randomBytes(6).toString("hex");
    const record: SecretRecord = {
      id,
      name,
      hosts,
      places: request.places ?? existing?.places ?? ["header"],
      expose,
      ...(aws === undefined ? {} : { aws }),
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
    const users = this.#usersOf(name);
    if (users.length === 0) return;
    throw new FirebreakError("SECRET_IN_USE", `${users.map((vm) => `'${vm}'`).join(", ")} may use the secret ${name}`, {
      hint: "Take it from them first: firebreak vm policy set VM … --no-secrets, or delete the VMs.",
      details: { vms: users },
    });
  }

  /** Throws SECRET_NOT_FOUND, SECRET_INVALID when a grant names hosts that the secret is not for. */
  check(grants: readonly SecretGrant[]): void {
    const secrets = grants.map((grant) => ({ ...grant, secret: this.#require(grant.name) }));
    const companions = new Set(secrets.flatMap(({ secret }) => companionsOf(secret)));
    for (const { name, hosts, secret } of secrets) {
      if (hosts !== undefined) this.#options.checkHosts(hosts);
      this.#requireCompanions(secret);
      if (secret.expose === "proxy" && !companions.has(name) && (hosts ?? secret.hosts).length === 0)
        throw new FirebreakError("SECRET_INVALID", `nobody has said which hosts the secret ${name} is for`, {
          hint: `Say it for this VM (--secret ${name}@HOST), or for all: firebreak secret set ${name} --host HOST`,
        });
    }
  }

  #requireCompanions(secret: SecretRecord): void {
    const missing = companionsOf(secret).find((name) => this.#options.store.get(name) === undefined);
    if (missing === undefined) return;
    throw new FirebreakError(
      "SECRET_INVALID",
      `the AWS key ${secret.name} goes with ${missing}, and there is no such secret`,
      {
        hint: `Set it: firebreak secret set ${missing}`,
      },
    );
  }

  /** Those of the grants that are still there, and what goes with AWS keys among them. */
  granted(grants: readonly SecretGrant[]): GrantedSecret[] {
    const found = new Map<string, GrantedSecret>();
    const { store } = this.#options;
    const records = grants.flatMap(({ name, hosts }) => {
      const record = store.get(name);
      return record === undefined ? [] : [{ record, hosts: hosts ?? record.hosts }];
    });
    for (const { record, hosts } of records) found.set(record.name, this.#toGranted(record, hosts));
    for (const { record: key, hosts } of records)
      for (const name of companionsOf(key)) {
        const record = store.get(name);
        if (record === undefined || record.aws !== undefined) continue;
        const own = found.get(name) ?? this.#toGranted(record, []);
        const places = [...new Set([...own.places, ...COMPANION_PLACES])];
        found.set(name, { ...own, places, hosts: [...new Set([...own.hosts, ...hosts])] });
      }
    return [...found.values()];
  }

  #toGranted(record: SecretRecord, hosts: readonly string[]): GrantedSecret {
    const { id, name, placeholder, places, expose, aws } = record;
    const value = () => {
      const sealed = this.#options.store.get(name)?.sealed ?? record.sealed;
      const text = this.#options.vault.open(sealed, aboutOf(id, name));
      if (text !== undefined) return text;
      throw new FirebreakError("SECRET_DAMAGED", `what is kept of the secret ${name} has been altered`, {
        hint: `Give it its value again: firebreak secret rotate ${name}`,
      });
    };
    const granted = { name, placeholder, expose, hosts, value };
    if (aws === undefined) return { ...granted, places };
    const accessKeyId = this.#options.store.get(aws.accessKeyId);
    return {
      ...granted,
      places: [],
      aws: { accessKeyId: accessKeyId === undefined ? undefined : this.#toGranted(accessKeyId, []) },
    };
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

  /** Also of a key that it goes with. */
  #tell(name: string): void {
    for (const each of [name, ...this.#keysWith(name)]) for (const listener of this.#listeners) listener(each);
  }

  /** Names of the VMs that may use it, by itself or with an AWS key. */
  #usersOf(name: string): string[] {
    const users = [name, ...this.#keysWith(name)].flatMap((each) => this.#options.usersOf(each));
    return [...new Map(users.map((vm) => [vm.id, vm.name])).values()];
  }

  #keysWith(name: string): string[] {
    const keys = this.#options.store.list().filter((record) => companionsOf(record).includes(name));
    return keys.map((key) => key.name);
  }

  #toSecret({ id: _id, sealed: _sealed, ...facts }: SecretRecord): Secret {
    return { ...facts, vms: this.#usersOf(facts.name) };
  }
}

/** Where requests have the id and the token of an AWS key: in headers, or in a URL that is signed. */
const COMPANION_PLACES = ["header", "query"] as const;

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
