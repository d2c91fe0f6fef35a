import assert from "node:assert/strict";
import { test } from "node:test";
import { Webhook } from "standardwebhooks";
import { signWebhook } from "./signature.ts";

const [id, body] = ["msg_1", '{"type":"task.completed"}'];
const at = () => Math.floor(Date.now() / 1000);

test("the specification's own library takes what is signed with a whsec_ secret, and with any other as it is", () => {
  const seconds = at();
  const base64 = `whsec_${Buffer.from("0123456789abcdef0123456789abcdef").toString("base64")}`;
  const headers = (secret: string) => ({
    "webhook-id": id,
    "webhook-timestamp": String(seconds),
    "webhook-signature": signWebhook(secret, id, seconds, body),
  });
  assert.ok(new Webhook(base64).verify(body, headers(base64)));
  assert.ok(new Webhook("plain ~ text", { format: "raw" }).verify(body, headers("plain ~ text")));
  assert.throws(() => new Webhook(base64).verify(`${body} `, headers(base64)));
  assert.throws(() => new Webhook(base64).verify(body, headers("another")));
});
