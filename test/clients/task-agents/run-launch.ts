import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { PACKAGE_ROOT } from "../../../src/platform/package-files.ts";
import type { AgentRequest, TaskAgent } from "../../../src/tasks/agents/agent.ts";
import { ALL_APIS } from "../../fakes/model-api/all-apis.ts";
import type { Answer } from "../../fakes/model-api/model-api.ts";
import { type RecordedRequest, type RecordedTurn, serveFakeModel } from "../../fakes/model-api/serve.ts";
import { runOffline } from "../offline/run-offline.ts";

const PROGRAMS = path.join(import.meta.dirname, "..", "node_modules", ".bin");
const MODEL_PORT = 8080;
const CWD = "/root/project";
/** Long enough not to be taken for something to mask. */
const KEY = "placeholder-key-that-no-provider-has-given-out";

export interface LaunchResult {
  /** Lines of stdout with the places of a VM in the place of this host's. */
  lines: string[];
  stderr: string;
  exitCode: number | null;
  turns: RecordedTurn[];
  requests: RecordedRequest[];
  misunderstood: string[];
  /** Every key that has come is the one that the agent was given. */
  hasKeysRight: boolean;
}

/** Runs an agent as a task would, with a fake model and without a network; what is `/root` in a VM is a folder of its own here. */
export async function runLaunch(
  agent: TaskAgent,
  request: Partial<AgentRequest> & { prompt: string },
  answer: (turn: RecordedTurn) => Answer,
): Promise<LaunchResult> {
  // Codex refuses to keep its helpers below the folder of temporary files.
  const folder = await mkdtemp(path.join(os.homedir(), ".firebreak-launch-"));
  const home = path.join(folder, "home");
  const toHost = (text: string) => text.replaceAll("/root", home);
  const toVm = (text: string) =>
    text
      .replaceAll(home, "/root")
      .replaceAll(path.join(folder, "tmp"), "/tmp")
      // Claude Code's name of a project is made of its path.
      .replaceAll(home.replaceAll(/[/._]/g, "-"), "-root");
  const model = await serveFakeModel(ALL_APIS, path.join(folder, "model.sock"), answer);
  try {
    const { argv, env, files } = agent.launch({
      argv: undefined,
      model: undefined,
      maxTurns: undefined,
      maxCostUsd: undefined,
      cwd: CWD,
      baseUrl: `http://127.0.0.1:${MODEL_PORT}`,
      ...request,
    });
    await mkdir(path.join(home, "project"), { recursive: true });
    await mkdir(path.join(folder, "tmp"));
    for (const [file, content] of Object.entries(files)) {
      await mkdir(path.dirname(toHost(file)), { recursive: true });
      await writeFile(toHost(file), toHost(content));
    }
    const { stdout, stderr, exitCode } = await runOffline({
      argv: argv.map(toHost),
      cwd: toHost(CWD),
      env: {
        PATH: [
          path.dirname(process.execPath),
          PROGRAMS,
          path.join(PACKAGE_ROOT, "node_modules/.bin"),
          process.env.PATH,
        ].join(":"),
        TMPDIR: path.join(folder, "tmp"),
        ...Object.fromEntries(Object.entries(env).map(([key, value]) => [key, toHost(value)])),
        ...Object.fromEntries(agent.secrets.map(({ name }) => [name, KEY])),
      },
      doors: [{ port: MODEL_PORT, socketPath: model.socketPath }],
    });
    const { turns, requests, misunderstood } = model;
    return {
      lines: toVm(stdout)
        .split("\n")
        .slice(0, stdout.endsWith("\n") ? -1 : undefined),
      stderr: toVm(stderr),
      exitCode,
      turns,
      requests,
      misunderstood,
      hasKeysRight:
        requests.every(({ key }) => key === undefined || key === KEY) && turns.every(({ key }) => key === KEY),
    };
  } finally {
    await model.close();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
