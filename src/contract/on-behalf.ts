/**
 * Header of a request over the UNIX socket that is made for a caller with an API key: the daemon lets it do what that caller may, which is
 * less than the socket's owner may.
 */
export const ON_BEHALF_HEADER = "firebreak-on-behalf-of";

export interface KeyHolder {
  id: string;
  name: string;
}

export function encodeOnBehalf({ id, name }: KeyHolder): string {
  return `${id} ${encodeURIComponent(name)}`;
}

/** Whoever can open the socket may do all, so what the header says need not be proved; what is malformed has no name. */
export function decodeOnBehalf(value: string): KeyHolder {
  const [id = "", name = ""] = value.split(" ");
  return { id, name: /^(?:[^%]|%[0-7][0-9a-f])*$/i.test(name) ? decodeURIComponent(name) : name };
}
