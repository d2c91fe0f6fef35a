import { isIP } from "node:net";
import type { TaskRequest } from "../contract/task.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { SecretFor } from "../gateway/remote/target.ts";
import { classifyAddress, isRefused } from "../network/addresses.ts";

/**
 * What is known to be wrong with a task's webhooks before it is queued; where names lead to is looked at with each try. Throws EGRESS_DENIED,
 * SECRET_NOT_FOUND, SECRET_INVALID when a secret is not for the host that would be told something that it signs.
 */
export function checkWebhooks(webhooks: TaskRequest["webhooks"], isConfined: boolean, secretFor: SecretFor): void {
  for (const { url: text, secret } of webhooks) {
    const url = new URL(text);
    const name = url.hostname.replace(/^\[(.*)\]$/, "$1");
    const kind = /^(?:.+\.)?localhost\.?$/i.test(name)
      ? "loopback"
      : isIP(name) === 0
        ? "public"
        : classifyAddress(name);
    if (isRefused(kind, !isConfined))
      throw new FirebreakError(
        "EGRESS_DENIED",
        `the webhook's host ${name} is a ${kind.replaceAll("_", " ")} address`,
        {
          ...(isRefused(kind, true)
            ? {}
            : { hint: "Callers on this host, over its UNIX socket, may name private receivers." }),
        },
      );
    if (secret !== undefined) secretFor(secret, url);
  }
}
