import type { IncomingMessage } from "node:http";

/** What a server says about why it does not let somebody in (RFC 6750, RFC 9728). */
export interface Challenge {
  /** It is bearer tokens that the server wants. */
  isBearer: boolean;
  resourceMetadata: string | undefined;
  scope: string | undefined;
  error: string | undefined;
}

const MAX_HEADER = 8 * 1024;
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]{1,256}(?: [\x21\x23-\x5b\x5d-\x7e]{1,256}){0,63}$/;

export function readChallenge(response: Pick<IncomingMessage, "headers">): Challenge {
  const header = String(response.headers["www-authenticate"] ?? "").slice(0, MAX_HEADER);
  const isBearer = /^\s*bearer(?:\s|$)/i.test(header);
  const read = (name: string) => {
    if (!isBearer) return undefined;
    const [, quoted, plain] = new RegExp(String.raw`[\s,]${name}=(?:"([^"]*)"|([^\s,"]+))`, "i").exec(header) ?? [];
    return quoted ?? plain;
  };
  const scope = read("scope");
  return {
    isBearer,
    resourceMetadata: read("resource_metadata"),
    scope: scope !== undefined && SCOPE.test(scope) ? scope : undefined,
    error: read("error"),
  };
}
