import { FirebreakError } from "../errors/firebreak-error.ts";

const UNAUTHORIZED =
  /unauthorized|authentication required|incorrect username|invalid username|access .* is denied|denied:/i;
const NOT_FOUND = /manifest unknown|name unknown|name invalid|\b404\b|not found/i;
const UNREACHABLE = /dial tcp|connection refused|no such host|no route to host|network is unreachable|i\/o timeout/i;
const TLS =
  /x509|certificate|server gave HTTP response to HTTPS client|first record does not look like a TLS handshake/i;

/** What skopeo says of a registry, in our codes; anything else as it is. */
export function translateRegistryError(thrown: unknown, host: string, action: "pull" | "push"): unknown {
  if (!(thrown instanceof FirebreakError)) return thrown;
  const failed = action === "pull" ? "IMAGE_PULL_FAILED" : "IMAGE_PUSH_FAILED";
  if (thrown.code === "DEADLINE_EXCEEDED")
    return new FirebreakError(failed, `the registry ${host} does not answer`, { cause: thrown });
  if (thrown.code !== "TOOL_FAILED") return thrown;
  const said =
    /level=fatal msg="((?:[^"\\]|\\.)*)"/.exec(thrown.message)?.[1]?.replace(/\\(.)/g, "$1") ?? thrown.message;
  // Headers of requests are no part of what it says, but what it says is bounded all the same.
  const why = said.slice(0, 600);
  if (UNAUTHORIZED.test(why))
    return new FirebreakError("REGISTRY_UNAUTHORIZED", `the registry ${host} refuses: ${why}`, {
      hint: `Log in ('docker login ${host}' or 'podman login ${host}'), or give --username and --password-stdin. ${
        action === "pull"
          ? "It may also be that there is no such image."
          : "It may also be that the login may not write there."
      }`,
    });
  if (UNREACHABLE.test(why))
    return new FirebreakError(failed, `the registry ${host} could not be reached: ${why}`, {
      hint: "Check the name, and that this host reaches the registry.",
    });
  if (action === "pull" && NOT_FOUND.test(why))
    return new FirebreakError("IMAGE_NOT_FOUND", `the registry ${host} has no such image: ${why}`);
  const what = action === "pull" ? `the image could not be fetched from ${host}` : `${host} did not take the image`;
  return new FirebreakError(failed, `${what}: ${why}`, {
    hint: TLS.test(why)
      ? "A registry on this host may be used without TLS: --tls-verify=false."
      : action === "pull"
        ? "Check the name, and that this host reaches the registry."
        : "Some registries want the repository to be made first.",
  });
}
