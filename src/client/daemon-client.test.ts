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

type Calls = Record<string, (...args: string[]) => unknown>;

/** The methods of the client itself and those of its nouns, as `vms.list`. */
function methodsOf(client: DaemonClient): string[] {
  const named = (calls: object) =>
    Object.getOwnPropertyNames(Object.getPrototypeOf(calls)).filter((name) => name !== "constructor");
  const nouns = Object.entries(client).flatMap(([noun, calls]) => named(calls).map((name) => `${noun}.${name}`));
  return [...named(client), ...nouns];
}

/** What a method asks for. */
async function record(path: string): Promise<RequestHead | undefined> {
  const recorder = new Recorder();
  // Whatever methods it has: they are called by their names.
  const client = new DaemonClient(recorder) as unknown as Record<string, Calls> & Calls;
  const [name, noun] = path.split(".").reverse() as [string, string | undefined];
  const calls: Calls = noun === undefined ? client : (client[noun] as Calls);
  const method = calls[name] as (...args: string[]) => unknown;
  try {
    const result = method.apply(calls, Array(method.length).fill(anything)) as
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
  const methods = methodsOf(new DaemonClient(new Recorder()));
  assert.ok(methods.includes("status") && methods.includes("vms.list"), "the methods are found");
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
