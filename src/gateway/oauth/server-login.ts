import { randomBytes } from "node:crypto";
import { digestOf } from "../../contract/canonical-json.ts";
import type { RemoteServer, ServerLoginBegun } from "../../contract/server.ts";
import { FirebreakError } from "../../errors/firebreak-error.ts";
import { expandSecrets } from "../config/references.ts";
import type { Dial } from "../remote/dial.ts";
import type { SecretFor } from "../remote/target.ts";
import type { Challenge } from "./challenge.ts";
import { loginCommand, loginFailed, loginRequired, scopeMissing } from "./faults.ts";
import type { FlowOptions, PendingLogin } from "./flow.ts";
import { GuardedFetch, isHere } from "./guarded-fetch.ts";
import type { Login, LoginStore } from "./logins.ts";

/** A token that ends sooner than this is replaced before it is used, ms; of one that lives shortly it is half of its life. */
const MARGIN_MS = 30_000;
/** A login that nobody finishes is forgotten after so long. */
const PENDING_MS = 15 * 60_000;
const MAX_PENDING = 4;

export interface ServerLoginDeps {
  config: RemoteServer;
  store: LoginStore;
  dial: Dial;
  secretFor: SecretFor;
  /** What users read where they are asked. */
  clientName: string;
  /** Asks the server without a login, for what it says then; undefined where it says nothing of that. */
  probe: () => Promise<Challenge | undefined>;
}

/** How calls of one server that runs elsewhere are authorized, where its headers do not say it. */
export class ServerLogin {
  readonly #deps: ServerLoginDeps;
  readonly #key: string;
  readonly #pending = new Map<string, PendingLogin & { untilMs: number }>();
  #login: Login | undefined;
  #renewing: Promise<Login> | undefined;
  #challenge: Challenge | undefined;
  /** The token that the server has not taken right after it was given. */
  #refused: string | undefined;
  #isAsked = false;

  constructor(deps: ServerLoginDeps) {
    this.#deps = deps;
    const { url, oauth } = deps.config;
    this.#key = digestOf({ url, oauth: oauth ?? null });
    const kept = deps.store.get(deps.config.name);
    if (kept?.key === this.#key) this.#login = kept;
    // What was given for another server, or by other means, is for nobody any more.
    else if (kept !== undefined) deps.store.remove(deps.config.name);
  }

  /** Whether the server is of no use until somebody logs in, as far as is known. */
  get isNeeded(): boolean {
    if (this.#isMachine) return false;
    return this.#isAsked || (this.#login === undefined && this.#deps.config.oauth !== undefined);
  }

  get #isMachine(): boolean {
    return this.#deps.config.oauth?.grant === "client_credentials";
  }

  get #name(): string {
    return this.#deps.config.name;
  }

  /** What a request is to have; undefined while nobody has logged in. Throws SERVER_LOGIN_… */
  async token(): Promise<string | undefined> {
    const login = this.#login;
    if (login === undefined) return this.#isMachine ? (await this.#renew()).accessToken : undefined;
    const isOld = isEnding(login, Date.now()) && (login.refreshToken !== undefined || this.#isMachine);
    return isOld ? (await this.#renew()).accessToken : login.accessToken;
  }

  /** The server has not taken that token: another one. Undefined where it is no login that it wants. Throws SERVER_LOGIN_… */
  async replace(used: string | undefined, challenge: Challenge): Promise<string | undefined> {
    const login = this.#login;
    if (login === undefined && !challenge.isBearer && this.#deps.config.oauth === undefined) return undefined;
    this.#challenge = challenge;
    // Others have met the same, and have seen to it.
    if (login !== undefined && login.accessToken !== used) return login.accessToken;
    if (login === undefined) throw this.#require("nobody has logged in");
    if (this.#refused === used || (login.refreshToken === undefined && !this.#isMachine)) throw this.refuse(used);
    return (await this.#renew()).accessToken;
  }

  /** The server does not take a token that has just been given. */
  refuse(used: string | undefined): FirebreakError {
    this.#refused = used;
    return this.#require("it does not accept the one that there is");
  }

  /** An answer that is no: throws SERVER_SCOPE_MISSING where it is for the login's scopes. */
  requireScope(challenge: Challenge): void {
    if (challenge.error !== "insufficient_scope") return;
    this.#challenge = challenge;
    throw scopeMissing(this.#name, challenge, this.#deps.config.oauth?.scopes);
  }

  /** Throws SERVER_LOGIN_FAILED, SECRET_… */
  async begin(redirectUri: string): Promise<ServerLoginBegun> {
    const { beginLogin } = await import("./flow.ts");
    const options = this.#flow();
    if (this.#isMachine) {
      const { metadata, scope } = await this.#renew();
      return { server: this.#name, issuer: metadata.issuer, scopes: scope?.split(" ") ?? [] };
    }
    const state = randomBytes(32).toString("base64url");
    const pending = await beginLogin(options, {
      ...{ challenge: await this.#heard(), redirectUri, state },
      granted: this.#login?.scope,
    });
    this.#forgetOld();
    this.#pending.set(state, { ...pending, untilMs: Date.now() + PENDING_MS });
    const { url, metadata, scope } = pending;
    return {
      server: this.#name,
      issuer: metadata.issuer,
      authorizationUrl: url.href,
      state,
      scopes: scope?.split(" ") ?? [],
    };
  }

  /** With the query that a browser has come back with. Throws SERVER_LOGIN_FAILED. */
  async finish(query: URLSearchParams): Promise<void> {
    this.#forgetOld();
    const state = query.get("state") ?? "";
    const pending = this.#pending.get(state);
    if (pending === undefined)
      throw loginFailed(this.#name, "what came back belongs to no login that was begun", {
        hint: `Begin anew: ${loginCommand(this.#name)}`,
      });
    // Once, whatever comes of it.
    this.#pending.delete(state);
    const { finishLogin } = await import("./flow.ts");
    this.#keep(await finishLogin(this.#flow(), pending, query));
  }

  /** Returns whether there was a login. */
  forget(): boolean {
    this.#login = undefined;
    this.#refused = undefined;
    this.#pending.clear();
    const wasThere = this.#deps.store.remove(this.#name);
    this.#isAsked ||= wasThere;
    return wasThere;
  }

  /** One at a time: a refresh token may be good for one use only. */
  #renew(): Promise<Login> {
    this.#renewing ??= this.#obtain().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #obtain(): Promise<Login> {
    const { isEnded, obtainLogin, refreshLogin } = await import("./flow.ts");
    const login = this.#login;
    try {
      const made =
        this.#isMachine || login === undefined
          ? await obtainLogin(this.#flow(), await this.#heard())
          : await refreshLogin(this.#flow(), login);
      // Somebody has logged in or out meanwhile: theirs holds.
      if (this.#login !== login) return this.#login ?? made;
      this.#keep(made);
      return made;
    } catch (thrown) {
      if (!isEnded(thrown) || this.#isMachine) throw thrown;
      if (this.#login === login) this.forget();
      throw this.#require("it has ended at the authorization server");
    }
  }

  /** What the server says to who has not logged in. */
  async #heard(): Promise<Challenge | undefined> {
    this.#challenge ??= await this.#deps.probe();
    return this.#challenge;
  }

  #keep(login: Login): void {
    this.#deps.store.put(this.#name, login);
    this.#login = login;
    this.#isAsked = false;
    this.#refused = undefined;
  }

  #require(why: string): FirebreakError {
    this.#isAsked = true;
    return loginRequired(this.#name, why);
  }

  #flow(): FlowOptions {
    const { config, dial, secretFor, clientName } = this.#deps;
    // What of its URL is a secret is for the server alone.
    const serverUrl = new URL(expandSecrets(config.url, () => "x"));
    if (serverUrl.protocol !== "https:" && !isHere(serverUrl))
      throw loginFailed(this.#name, "its url is not https, and a token would go there for all to read");
    if (serverUrl.href !== new URL(config.url).href)
      throw new FirebreakError("INVALID_ARGUMENT", `the server '${this.#name}' has secrets in its url, and no login`);
    serverUrl.hash = "";
    const guard = new GuardedFetch({ server: this.#name, serverUrl, issuer: config.oauth?.issuer, dial });
    return { config, key: this.#key, serverUrl, guard, secretFor, clientName };
  }

  #forgetOld(): void {
    const now = Date.now();
    for (const [state, { untilMs }] of this.#pending)
      if (untilMs < now || this.#pending.size >= MAX_PENDING) this.#pending.delete(state);
  }
}

/** Whether a token is too near to its end to be used. */
export function isEnding({ givenAtMs, endsAtMs }: Pick<Login, "givenAtMs" | "endsAtMs">, nowMs: number): boolean {
  return endsAtMs !== undefined && nowMs >= endsAtMs - Math.min(MARGIN_MS, (endsAtMs - givenAtMs) / 2);
}
