import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { listRegistrations } from "../../../src/mcp/registration.ts";
import { PACKAGE_ROOT } from "../../../src/platform/package-files.ts";
import { type OfflineJob, type OfflineResult, runOffline } from "../offline/run-offline.ts";
import type { Agent, AgentPlace } from "./agent.ts";

const PROGRAMS = path.join(import.meta.dirname, "..", "node_modules", ".bin");
/** Of the agent's own loopback, where nobody else is. */
const MODEL_PORT = 8080;

export interface SetUpOptions {
  /** An empty folder. */
  home: string;
  modelSocketPath: string;
  /** What else it reaches on its loopback. */
  doors?: OfflineJob["doors"];
  env?: Record<string, string>;
}

/** A coding agent in a home of its own, which finds a fake model there. */
export interface ReadyAgent {
  /** Tells it of firebreak as `firebreak serve mcp` says it is done, which starts `program`. */
  registerStdio: (program: string) => Promise<void>;
  /** Has `firebreak gen-config` write the agent's own file, with further arguments; the API key is in $FIREBREAK_API_KEY of what asks. */
  generateConfig: (program: string, ...args: string[]) => Promise<void>;
  ask: (prompt: string) => Promise<OfflineResult>;
}

export async function setUpAgent(agent: Agent, options: SetUpOptions): Promise<ReadyAgent> {
  const { home } = options;
  const place: AgentPlace = {
    home,
    modelUrl: `http://127.0.0.1:${MODEL_PORT}`,
    modelKey: "placeholder-key-that-no-provider-has-given-out",
  };
  const cwd = path.join(home, "project");
  const temporary = path.join(home, "tmp");
  for (const folder of [cwd, temporary, ...(agent.folders ?? []).map((name) => path.join(home, name))]) {
    await mkdir(folder, { recursive: true });
  }
  for (const file of agent.files(place)) await mergeJson(path.join(home, file.path), file.json);
  const env = {
    // The Node that the tests run on comes first: agents in JavaScript run on it.
    PATH: [
      path.dirname(process.execPath),
      PROGRAMS,
      path.join(PACKAGE_ROOT, "node_modules/.bin"),
      process.env.PATH,
    ].join(":"),
    HOME: home,
    TMPDIR: temporary,
    LANG: "C.UTF-8",
    TERM: "dumb",
    ...agent.env(place),
    ...options.env,
  };
  const doors = [{ port: MODEL_PORT, socketPath: options.modelSocketPath }, ...(options.doors ?? [])];
  const run = (argv: string[]) => runOffline({ argv, cwd, env, doors });
  const runToSuccess = async (argv: string[]) => {
    const { exitCode, stdout, stderr } = await run(argv);
    assert.equal(exitCode, 0, `${argv.join(" ")}\n${stdout}${stderr}`);
  };
  return {
    registerStdio: async (program) => {
      const entry = listRegistrations(program).find(({ client }) => client === agent.name);
      assert.ok(entry, `firebreak does not say how to register it with ${agent.name}`);
      if (entry.text === undefined) return await runToSuccess(["sh", "-c", entry.where]);
      const [, file] = / ~\/(\S+)$/.exec(entry.where) ?? [];
      assert.ok(file, entry.where);
      await mergeJson(path.join(home, file), JSON.parse(entry.text) as Record<string, unknown>);
    },
    generateConfig: (program, ...args) =>
      runToSuccess([program, "gen-config", "--client", agent.clientId, "--write", ...args]),
    ask: (prompt) => run([agent.program, ...agent.ask(prompt, place)]),
  };
}

/** Adds keys to a JSON file that need not be there yet. */
async function mergeJson(file: string, json: Record<string, unknown>): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  const there = await readFile(file, "utf8").catch(() => "{}");
  await writeFile(file, JSON.stringify({ ...(JSON.parse(there) as Record<string, unknown>), ...json }));
}
