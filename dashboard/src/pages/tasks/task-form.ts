import type { EgressMode } from "../../../../src/contract/policy.ts";
import type { TaskCreate } from "../../../../src/contract/task.ts";
import type { DriverRequest } from "../../../../src/contract/vm.ts";

/** The fields of the form as they are typed; empty ones are left to the daemon. */
export interface TaskForm {
  agent: string;
  prompt: string;
  command: string;
  name: string;
  model: string;
  image: string;
  memoryMib: string;
  cpus: string;
  diskMib: string;
  driver: DriverRequest | "default";
  accel: NonNullable<TaskCreate["accel"]>;
  timeoutMinutes: string;
  maxTurns: string;
  maxCostUsd: string;
  network: EgressMode | "default";
  allow: string;
  secrets: string[];
  env: string;
  git: string;
  ref: string;
  outputDir: string;
  priority: string;
  labels: string;
  keepVm: "never" | "on-failure" | "always";
  maxRetries: string;
}

export const EMPTY_FORM: TaskForm = {
  agent: "claude",
  prompt: "",
  command: "",
  name: "",
  model: "",
  image: "",
  memoryMib: "",
  cpus: "",
  diskMib: "",
  driver: "default",
  accel: "auto",
  timeoutMinutes: "",
  maxTurns: "",
  maxCostUsd: "",
  network: "default",
  allow: "",
  secrets: [],
  env: "",
  git: "",
  ref: "",
  outputDir: "",
  priority: "",
  labels: "",
  keepVm: "never",
  maxRetries: "",
};

const words = (text: string) => text.split(/[\s,]+/).filter((word) => word !== "");
const numberOf = (text: string) => (text.trim() === "" ? undefined : Number(text));

/** `KEY=VALUE` a line, or a word; what has no `=` is a key with an empty value. */
function pairsOf(lines: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.indexOf("=");
      return at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 1)];
    }),
  );
}

/** What the API is asked for. */
export function toRequest(form: TaskForm): TaskCreate {
  const isCommand = form.agent === "command";
  const minutes = numberOf(form.timeoutMinutes);
  const allow = words(form.allow);
  const env = pairsOf(
    form.env
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== ""),
  );
  const fields: TaskCreate = {
    agent: form.agent,
    ...(isCommand ? { argv: ["sh", "-c", form.command] } : { prompt: form.prompt }),
    name: form.name.trim() || undefined,
    model: isCommand ? undefined : form.model.trim() || undefined,
    image: form.image.trim() || undefined,
    memoryMib: numberOf(form.memoryMib),
    cpus: numberOf(form.cpus),
    diskMib: numberOf(form.diskMib),
    // What the daemon is set to may be another choice than `auto`.
    driver: form.driver === "default" ? undefined : form.driver,
    accel: form.accel === "auto" ? undefined : form.accel,
    timeoutMs: minutes === undefined ? undefined : Math.round(minutes * 60_000),
    maxTurns: isCommand ? undefined : numberOf(form.maxTurns),
    maxCostUsd: isCommand ? undefined : numberOf(form.maxCostUsd),
    network: form.network === "default" ? undefined : { mode: form.network, ...(allow.length > 0 ? { allow } : {}) },
    secrets: form.secrets.map((name) => ({ name })),
    env,
    workspace: form.git.trim() === "" ? undefined : { git: form.git.trim(), ref: form.ref.trim() || undefined },
    outputDir: form.outputDir.trim() || undefined,
    priority: numberOf(form.priority),
    labels: pairsOf(words(form.labels)),
    keepVm: form.keepVm,
    maxRetries: numberOf(form.maxRetries),
  };
  return fields;
}
