import assert from "node:assert/strict";
import { test } from "node:test";
import { scan, scanTool } from "../../../../test/support/scan-tool.ts";

const ask = (name: string, description = "") => {
  const properties = { [name]: { type: "string", description } };
  const found = scanTool({ inputSchema: { type: "object", properties } });
  return found.map((each) => each.split(" ").slice(0, 2).join(" "));
};

test("parameters that are named after secrets are a warning", () => {
  for (const name of [
    "password",
    "userPassword",
    "api_key",
    "apiKey",
    "API-KEY",
    "token",
    "github_token",
    "accessToken",
    "private_key",
    "client_secret",
    "credentials",
    "seedPhrase",
    "рassword",
    "creditCardNumber",
  ])
    assert.deepEqual(ask(name), ["warning secret_request"], name);
});

test("parameters for what was said to the model are found by name or description", () => {
  for (const name of ["system_prompt", "conversationHistory", "previous_messages", "available_tools"])
    assert.deepEqual(ask(name), ["warning secret_request"], name);
  for (const text of [
    "Your entire conversation so far",
    "the full chat history",
    "The complete list of available tools",
  ])
    assert.deepEqual(ask("note", text), ["danger secret_request"], text);
  assert.deepEqual(ask("note", "The user's API key"), ["warning secret_request"]);
});

test("parameters about secrets, and other tokens, are no finding", () => {
  for (const name of [
    "max_tokens",
    "tokens",
    "page_token",
    "nextToken",
    "token_count",
    "has_password",
    "password_length",
    "secret_name",
    "tokenizer",
    "key",
    "keyboard",
    "public_key",
    "author",
    "total_tokens",
    "path",
    "secretary",
  ])
    assert.deepEqual(ask(name), [], name);
  for (const text of ["The name of the entity", "A password policy", "Conversation id", "The message to echo"])
    assert.deepEqual(ask("value", text), [], text);
});

test("it asks at any depth, and prompts ask with arguments", () => {
  const items = { type: "object", properties: { passphrase: {} } };
  const inputSchema = { type: "object", properties: { login: { type: "array", items } } };
  assert.deepEqual(scanTool({ inputSchema }), [
    "warning secret_request inputSchema.properties.login.items.properties.passphrase",
  ]);
  const prompts = [{ name: "p", arguments: [{ name: "city" }, { name: "api_key" }, null] }];
  assert.deepEqual(scan({ prompts }), ["warning secret_request arguments[1]"]);
  // What a tool answers, it does not ask for.
  assert.deepEqual(scanTool({ outputSchema: { type: "object", properties: { password: {} } } }), []);
});
