/**
 * The cookie of a session. Cookies know no ports: two daemons of one host are told apart by the cookie's name. `host` is that of the Host header.
 */
export function cookieNameOf(host: string): string {
  return `firebreak_session_${/:(\d{1,5})$/.exec(host)?.[1] ?? "web"}`;
}

/** The token in a Cookie header; undefined when there is none for this daemon. */
export function readToken(cookies: string | undefined, host: string): string | undefined {
  const name = cookieNameOf(host);
  for (const pair of (cookies ?? "").split(";")) {
    const [key, value] = pair.trim().split("=", 2);
    if (key === name && value !== undefined && /^[\w-]{43}$/.test(value)) return value;
  }
  return undefined;
}

/** Set-Cookie for a token, or for the end of one. Without a time it goes with the browser. `isSecure`: the page has come over TLS. */
export function setCookie(host: string, token: string | undefined, isSecure: boolean): string {
  const end = token === undefined ? "; Max-Age=0" : "";
  return `${cookieNameOf(host)}=${token ?? ""}; Path=/; HttpOnly; SameSite=Strict${isSecure ? "; Secure" : ""}${end}`;
}
