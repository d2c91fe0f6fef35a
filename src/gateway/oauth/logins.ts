/** What is kept of a login; it is sealed wherever it is kept. */
export interface Login {
  /** Of the server and of how its calls are authorized: with another one, nothing of this is used. */
  key: string;
  /** The authorization server, and what refreshing needs of its metadata. */
  metadata: LoginMetadata;
  client: LoginClient;
  /** The resource indicator that its tokens are for (RFC 8707). */
  resource: string | undefined;
  accessToken: string;
  refreshToken: string | undefined;
  scope: string | undefined;
  /** When the access token was given, and when it ends, in ms since 1970. */
  givenAtMs: number;
  endsAtMs: number | undefined;
}

export interface LoginMetadata {
  issuer: string;
  authorization_endpoint: string;
  token_endpoint: string;
  response_types_supported: string[];
  token_endpoint_auth_methods_supported?: string[];
}

/** `client_secret` is of a client that was registered for this login; a configured one is looked up each time. */
export interface LoginClient {
  client_id: string;
  client_secret?: string;
  issuer?: string;
}

/** Where logins are kept, by the server's name. */
export interface LoginStore {
  /** Undefined also where what is kept cannot be opened. */
  get(server: string): Login | undefined;
  put(server: string, login: Login): void;
  /** Whether there was one. */
  remove(server: string): boolean;
}
