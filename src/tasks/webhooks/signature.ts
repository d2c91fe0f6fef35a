import { createHmac } from "node:crypto";

const PREFIX = "whsec_";

/**
 * `webhook-signature` as the Standard Webhooks specification has it, of what is sent at a time (seconds since 1970). A secret that begins with `whsec_`
 * is base64 from there on; of any other the bytes are the key.
 */
export function signWebhook(secret: string, id: string, seconds: number, body: string): string {
  const key = secret.startsWith(PREFIX) ? Buffer.from(secret.slice(PREFIX.length), "base64") : Buffer.from(secret);
  return `v1,${createHmac("sha256", key).update(`${id}.${seconds}.${body}`).digest("base64")}`;
}
