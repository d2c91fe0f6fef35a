import {
  auth,
  computeScopeUnion,
  exchangeAuthorization,
  type OAuthClientProvider,
  OAuthError,
  type OAuthTokens,
  refreshAuthorization,
  validateAuthorizationResponseIssuer,
} from "@modelcontextprotocol/client";
import type { RemoteServer, ServerOauth } from "../../contract/server.ts";
import type { FirebreakError } from "../../errors/firebreak-error.ts";
import { expandSecrets } from "../config/references.ts";
import type { SecretFor } from "../remote/target.ts";
import type { Challenge } from "./challenge.ts";
import { loginFailed, quote } from "./faults.ts";
import { type GuardedFetch, reasonOf } from "./guarded-fetch.ts";
import type { Login, LoginClient, LoginMetadata } from "./logins.ts";

/** As RFC 9110 has it, of what can be sent at all. */
const SENDABLE = /^[\x21-\x7e]{1,16384}$/;

type Discovered = Parameters<NonNullable<OAuthClientProvider["saveDiscoveryState"]>>[0];
type Metadata = NonNullable<Discovered["authorizationServerMetadata"]>;

export interface FlowOptions {
  config: RemoteServer;
  /** Of the server and of its oauth. */
  key: string;
  /** The server's, its secrets not filled in: nobody but it is to have them. */
  serverUrl: URL;
  guard: GuardedFetch;
  secretFor: SecretFor;
  clientName: string;
}

/** A login that waits for somebody to have been at the authorization server. */
export interface PendingLogin {
  url: URL;
  metadata: Metadata;
  client: LoginClient;
  resource: string | undefined;
  verifier: string;
  redirectUri: string;
  scope: string | undefined;
}

export interface BeginOptions {
  challenge: Challenge | undefined;
  redirectUri: string;
  state: string;
  /** What the last login allowed: asking for more is not to lose it. */
  granted: string | undefined;
}

/** Finds the authorization server, becomes its client, and says where somebody has to go. Throws SERVER_LOGIN_FAILED, SECRET_… */
export async function beginLogin(options: FlowOptions, begin: BeginOptions): Promise<PendingLogin> {
  const { challenge, granted, redirectUri } = begin;
  const provider = new Provider(options, begin);
  const asked = provider.configuredScope ?? computeScopeUnion(granted, challenge?.scope);
  await run(options, provider, challenge, asked);
  const { url, verifier, discovered, client, resource } = provider;
  const metadata = discovered?.authorizationServerMetadata;
  if (url === undefined || verifier === undefined || metadata === undefined || client === undefined)
    throw loginFailed(options.config.name, "it did not come to an authorization");
  return {
    ...{ url, metadata, client, resource, verifier, redirectUri },
    scope: url.searchParams.get("scope") ?? undefined,
  };
}

/** The authorization server's word, by way of a browser, becomes tokens. Throws SERVER_LOGIN_FAILED. */
export async function finishLogin(options: FlowOptions, pending: PendingLogin, query: URLSearchParams): Promise<Login> {
  const { config, guard } = options;
  const { metadata, client, resource, verifier, redirectUri, scope } = pending;
  const iss = query.get("iss") ?? undefined;
  return translating(config.name, async () => {
    // Before anything else of it is read: another authorization server may have sent it (RFC 9207).
    validateAuthorizationResponseIssuer({
      iss,
      expectedIssuer: metadata.issuer,
      issParameterSupported: metadata.authorization_response_iss_parameter_supported === true,
    });
    const code = query.get("code");
    const error = query.get("error");
    if (code === null) {
      const text = [error, query.get("error_description")].filter((each) => each !== null).join(": ");
      throw loginFailed(config.name, text === "" ? "there is no code in what came back" : quote(text));
    }
    const tokens = await exchangeAuthorization(metadata.issuer, {
      metadata,
      clientInformation: withSecret(options, client, metadata),
      authorizationCode: code,
      iss,
      codeVerifier: verifier,
      redirectUri,
      fetchFn: guard.fetch,
      ...(resource === undefined ? {} : { resource: resource as unknown as URL }),
    });
    return toLogin(options, { metadata, client, resource, scope }, tokens);
  });
}

/** Another access token for the same login. Throws SERVER_LOGIN_FAILED; `isEnded` says of what was thrown whether the login is over. */
export async function refreshLogin(options: FlowOptions, login: Login): Promise<Login> {
  const { metadata, client, resource, scope, refreshToken } = login;
  return translating(options.config.name, async () => {
    const tokens = await refreshAuthorization(metadata.issuer, {
      metadata: metadata as Metadata,
      clientInformation: withSecret(options, client, metadata),
      refreshToken: refreshToken ?? "",
      fetchFn: options.guard.fetch,
      ...(resource === undefined ? {} : { resource: resource as unknown as URL }),
    });
    return toLogin(options, { metadata, client, resource, scope }, tokens);
  });
}

/** A login of a machine: nobody has to do anything. Throws SERVER_LOGIN_FAILED, SECRET_… */
export async function obtainLogin(options: FlowOptions, challenge: Challenge | undefined): Promise<Login> {
  const provider = new Provider(options, undefined);
  const scope = provider.configuredScope ?? challenge?.scope;
  await run(options, provider, challenge, scope);
  const { discovered, client, resource, given } = provider;
  const metadata = discovered?.authorizationServerMetadata;
  if (metadata === undefined || client === undefined || given === undefined)
    throw loginFailed(options.config.name, "no token was given");
  return toLogin(options, { metadata, client, resource, scope }, given);
}

/** The authorization server takes what it was given for nothing any more; all else may be better the next time. */
export function isEnded(thrown: unknown): boolean {
  const { cause } = thrown as { cause?: unknown };
  return cause instanceof OAuthError && ["invalid_grant", "invalid_client", "unauthorized_client"].includes(cause.code);
}

function run(
  { config, serverUrl, guard }: FlowOptions,
  provider: Provider,
  challenge: Challenge | undefined,
  scope: string | undefined,
): Promise<unknown> {
  const named = challenge?.resourceMetadata;
  return translating(config.name, () =>
    auth(provider, {
      serverUrl,
      fetchFn: guard.fetch,
      ...(scope === undefined ? {} : { scope }),
      ...(named === undefined ? {} : { resourceMetadataUrl: guard.check(named, "its metadata") }),
    }),
  );
}

async function translating<T>(server: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    throw reasonOf(thrown) ?? translate(server, thrown as Error);
  }
}

/** What a parser says of an answer may have a piece of it, and that may be of a token. */
function translate(server: string, error: Error): FirebreakError {
  if (error instanceof OAuthError)
    return loginFailed(server, quote(`${error.code}: ${error.message}`), { cause: error });
  const isParser = error instanceof SyntaxError || error.name === "ZodError" || error.name === "$ZodError";
  return loginFailed(server, isParser ? "its authorization server's answer is malformed" : quote(error.message));
}

function toLogin(
  { config, key }: FlowOptions,
  { metadata, ...rest }: Pick<Login, "client" | "resource" | "scope"> & { metadata: Metadata | LoginMetadata },
  tokens: OAuthTokens,
): Login {
  const { access_token, refresh_token, token_type, scope, expires_in } = tokens;
  if (token_type.toLowerCase() !== "bearer")
    throw loginFailed(config.name, `it gives tokens of the type '${quote(token_type, 50)}', and only bearer is known`);
  if (!SENDABLE.test(access_token)) throw loginFailed(config.name, "it gives a token that no header can hold");
  const nowMs = Date.now();
  const methods = metadata.token_endpoint_auth_methods_supported;
  return {
    ...rest,
    key,
    metadata: {
      issuer: metadata.issuer,
      authorization_endpoint: metadata.authorization_endpoint,
      token_endpoint: metadata.token_endpoint,
      response_types_supported: metadata.response_types_supported,
      ...(methods === undefined ? {} : { token_endpoint_auth_methods_supported: methods }),
    },
    accessToken: access_token,
    refreshToken: refresh_token,
    scope: scope ?? rest.scope,
    givenAtMs: nowMs,
    endsAtMs: expires_in === undefined ? undefined : nowMs + expires_in * 1_000,
  };
}

/** A configured secret goes to the token endpoint, if it is for that host. Throws SECRET_… */
function withSecret(
  { config, secretFor }: FlowOptions,
  client: LoginClient,
  { token_endpoint }: Pick<LoginMetadata, "token_endpoint">,
): LoginClient {
  const secret = config.oauth?.clientSecret;
  if (secret === undefined) return client;
  return { ...client, client_secret: expandSecrets(secret, (name) => secretFor(name, new URL(token_endpoint))) };
}

/** What the SDK's flow asks and tells: it is for one login, and nothing of another one is in it. */
class Provider implements OAuthClientProvider {
  readonly #options: FlowOptions;
  readonly #begin: BeginOptions | undefined;
  readonly clientMetadataUrl?: string;
  discovered: Discovered | undefined;
  client: LoginClient | undefined;
  resource: string | undefined;
  verifier: string | undefined;
  url: URL | undefined;
  given: OAuthTokens | undefined;

  constructor(options: FlowOptions, begin: BeginOptions | undefined) {
    this.#options = options;
    this.#begin = begin;
    const id = this.#oauth.clientId;
    if (begin !== undefined && id !== undefined && isDocument(this.#oauth)) this.clientMetadataUrl = id;
  }

  get #oauth(): Partial<ServerOauth> {
    return this.#options.config.oauth ?? {};
  }

  get configuredScope(): string | undefined {
    return this.#oauth.scopes?.join(" ");
  }

  get redirectUrl(): string | undefined {
    return this.#begin?.redirectUri;
  }

  get clientMetadata() {
    const scope = this.configuredScope;
    return {
      client_name: this.#options.clientName,
      redirect_uris: this.#begin === undefined ? [] : [this.#begin.redirectUri],
      grant_types: this.#begin === undefined ? ["client_credentials"] : ["authorization_code", "refresh_token"],
      response_types: this.#begin === undefined ? [] : ["code"],
      token_endpoint_auth_method: this.#begin === undefined ? "client_secret_basic" : "none",
      ...(scope === undefined ? {} : { scope }),
    };
  }

  state(): string {
    return this.#begin?.state ?? "";
  }

  clientInformation(context?: { issuer: string }): LoginClient | undefined {
    if (this.client === undefined && this.#oauth.clientId !== undefined && this.clientMetadataUrl === undefined)
      this.client = { client_id: this.#oauth.clientId, ...(context === undefined ? {} : { issuer: context.issuer }) };
    const metadata = this.discovered?.authorizationServerMetadata;
    return this.client === undefined || metadata === undefined
      ? this.client
      : withSecret(this.#options, this.client, metadata);
  }

  saveClientInformation({ client_id, client_secret, issuer }: LoginClient): void {
    // A configured secret is looked up each time.
    const secret = this.#oauth.clientSecret === undefined ? client_secret : undefined;
    this.client = {
      client_id,
      ...(secret === undefined ? {} : { client_secret: secret }),
      ...(issuer === undefined ? {} : { issuer }),
    };
  }

  tokens(): undefined {
    return undefined;
  }

  saveTokens(tokens: OAuthTokens): void {
    this.given = tokens;
  }

  redirectToAuthorization(url: URL): void {
    this.url = this.#options.guard.check(url, "where it sends you to");
  }

  saveCodeVerifier(verifier: string): void {
    this.verifier = verifier;
  }

  codeVerifier(): string {
    return this.verifier ?? "";
  }

  saveResourceUrl(resource: string | URL): void {
    this.resource = String(resource);
  }

  discoveryState(): Discovered | undefined {
    return this.discovered;
  }

  /** Heard before anybody is registered anywhere, or sent anything. */
  saveDiscoveryState(state: Discovered): void {
    const { config, guard } = this.#options;
    const metadata = state.authorizationServerMetadata;
    if (metadata === undefined)
      throw loginFailed(config.name, "nothing says which authorization server it has", {
        hint: "It may need no login, or a token of its own: docs/gateway.md",
      });
    const wanted = this.#oauth.issuer;
    if (wanted !== undefined && withoutSlash(wanted) !== withoutSlash(metadata.issuer))
      throw loginFailed(
        config.name,
        `its authorization server is ${quote(metadata.issuer, 200)}, and the configuration wants ${wanted}`,
      );
    guard.check(metadata.issuer, "its authorization server");
    guard.check(metadata.token_endpoint, "its authorization server's token endpoint");
    if (this.#begin !== undefined) {
      guard.check(metadata.authorization_endpoint, "its authorization server's authorization endpoint");
      // Without it nothing binds a code to who has asked for it; servers of MCP must have it.
      if (!metadata.code_challenge_methods_supported?.includes("S256"))
        throw loginFailed(config.name, "its authorization server does not know PKCE with S256");
    }
    this.discovered = state;
  }

  /** Interactive logins are the SDK's own; this is for machines. */
  prepareTokenRequest(scope?: string): URLSearchParams | undefined {
    if (this.#begin !== undefined) return undefined;
    return new URLSearchParams({
      grant_type: "client_credentials",
      ...(scope === undefined || scope === "" ? {} : { scope }),
    });
  }
}

const withoutSlash = (url: string) => url.replace(/\/$/, "");

/** An id that is a URL is where what there is to know of the client can be read. */
function isDocument({ clientId, clientSecret }: Partial<ServerOauth>): boolean {
  return (
    clientSecret === undefined &&
    clientId !== undefined &&
    /^https:\/\/[^/]+\/./.test(clientId) &&
    URL.canParse(clientId)
  );
}
