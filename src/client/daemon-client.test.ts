import assert from "node:assert/strict";
import { test } from "node:test";
import { ROUTES } from "../contract/routes/index.ts";
import { DaemonClient } from "./daemon-client.ts";
import type { Endpoint, RequestHead } from "./endpoint.ts";

/** Notes what is asked for, and goes no further. */
class Recorder implements Endpoint {
  readonly heads: RequestHead[] = [];

  open(head: RequestHead): never {
    this.heads.push(head);
    throw new Error("noted");
  }

  explainFailure = () => undefined;
  explainVersion = () => undefined;
}

/** Is a name where one is put into a path, and an object with nothing in it where one is taken apart. */
const anything = Object.create({ toString: () => "x" }) as string;

const methods = Object.getOwnPropertyNames(DaemonClient.prototype).filter((name) => name !== "constructor");

/** What a method asks for. */
async function record(name: string): Promise<RequestHead | undefined> {
  const recorder = new Recorder();
  const client = new DaemonClient(recorder) as unknown as Record<string, (...args: string[]) => unknown>;
  const method = client[name] as (...args: string[]) => unknown;
  try {
    const result = method.apply(client, Array(method.length).fill(anything)) as
      | Promise<unknown>
      | AsyncIterator<unknown>;
    await ("next" in result ? result.next() : result);
  } catch {
    // Of interest is what was asked for.
  }
  return recorder.heads[0];
}

test("whatever the client asks for is a request of the API, and so are its query parameters", async () => {
  const routes = Object.values(ROUTES).flat();
  for (const name of methods) {
    const head = await record(name);
    assert.ok(head !== undefined, `${name} asks for nothing`);
    const { pathname, searchParams } = new URL(head.path, "http://daemon");
    const fits = routes.filter(
      ({ method, path }) =>
        method === head.method &&
        new RegExp(`^${path.replaceAll(/:\w+/g, "[^/]+").replaceAll(".", "\\.")}$`).test(pathname),
    );
    assert.ok(fits.length > 0, `${name} asks for ${head.method} ${pathname}, which src/contract/routes does not have`);
    const known = fits.flatMap(({ query }) => Object.keys(query?.shape ?? {}));
    for (const parameter of searchParams.keys())
      assert.ok(known.includes(parameter), `${name}: ${fits[0]?.path} has no '${parameter}' in src/contract/routes`);
  }
});
