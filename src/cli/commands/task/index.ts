import { createWriteStream } from "node:fs";
import { lstat, mkdir } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import { isEnded } from "../../../contract/task.ts";
import { FirebreakError } from "../../../errors/firebreak-error.ts";
import { openContext } from "../../context.ts";
import { deleteEach, requireTargets } from "../../delete-each.ts";
import { formatBytes, printJson, printTable } from "../../output.ts";
import { parseCount } from "../../parse.ts";
import { printWorkspaceAfter } from "../workspace-report.ts";
import { printTask, tailOf } from "./describe.ts";
import { createPrinter } from "./follow.ts";
import { addTaskList } from "./list.ts";
import { placesBelow } from "./places.ts";
import { addTaskRun, exitCodeOf, isWorkspaceOf, waitForEnd } from "./run.ts";

export function addTaskCommands(program: Command, hasSeparator: boolean): void {
  const task = program
    .command("task")
    .description("work of coding agents, and of any command, each in a VM of its own");
  addTaskRun(task, hasSeparator);
  addTaskList(task);
  for (const add of [addGet, addWait, addLogs, addCancel, addRetry, addFiles, addFile, addDelete]) add(task);
}

function addGet(parent: Command): void {
  const command = parent
    .command("get")
    .description("Print how a task stands, and the end of its output.")
    .argument("<task>", "id")
    .action(async (id: string) => {
      const { client, asJson } = await openContext(command);
      const task = await client.tasks.get(id);
      if (asJson) return printJson(task);
      printTask(task);
      const tail = tailOf(task);
      if (tail !== "") process.stdout.write(`\n${tail}\n`);
    });
}

function addWait(parent: Command): void {
  const command = parent
    .command("wait")
    .description("Wait for a task's end; the exit code is 0 when it has completed.")
    .argument("<task>", "id")
    .action(async (id: string) => {
      const { client, asJson, progress } = await openContext(command);
      const task = await waitForEnd(client, id, progress);
      progress.clear();
      if (asJson) printJson(task);
      else {
        printTask(task);
        await printWorkspaceAfter(client, isWorkspaceOf(task));
      }
      process.exitCode = exitCodeOf(task);
    });
}

function addLogs(parent: Command): void {
  const command = parent
    .command("logs")
    .description("Print a task's events; with --json a line of JSON each. None is missed and none comes twice.")
    .argument("<task>", "id")
    .option("-f, --follow", "go on with what comes, until the task has ended")
    .option("--from <n>", "from this event on")
    .action(async (id: string, options: { follow?: boolean; from?: string }) => {
      const { client, asJson } = await openContext(command);
      const print = createPrinter({ tellsEnd: true });
      const from = options.from === undefined ? 1 : parseCount("--from", options.from);
      for await (const event of client.tasks.events(id, { from, follow: options.follow ?? false })) {
        if (asJson) process.stdout.write(`${JSON.stringify(event)}\n`);
        else if ("seq" in event) print(event);
      }
    });
}

function addCancel(parent: Command): void {
  const command = parent
    .command("cancel")
    .description("End tasks, whatever they are at. Those that have ended stay as they are.")
    .argument("<tasks...>", "ids")
    .action(async (ids: string[]) => {
      const { client, asJson } = await openContext(command);
      const tasks = [];
      for (const id of ids) tasks.push(await client.tasks.cancel(id));
      if (asJson) printJson({ tasks });
      else
        for (const { id, state } of tasks)
          process.stdout.write(`${id} ${isEnded(state) ? state : "is being cancelled"}\n`);
    });
}

function addRetry(parent: Command): void {
  const command = parent
    .command("retry")
    .description("Queue a task like one that has ended, and print its id.")
    .argument("<task>", "id")
    .action(async (id: string) => {
      const { client, asJson } = await openContext(command);
      const task = await client.tasks.retry(id);
      if (asJson) printJson(task);
      else process.stdout.write(`${task.id}\n`);
    });
}

function addFiles(parent: Command): void {
  const command = parent
    .command("files")
    .description("List the files of a task's output directory, or write them into a directory of this host.")
    .argument("<task>", "id")
    .option("-o, --output <dir>", "write them there; it must not hold files of these names")
    .action(async (id: string, options: { output?: string }) => {
      const { client, asJson } = await openContext(command);
      const files = await client.tasks.files(id);
      if (options.output !== undefined) {
        const places = placesBelow(options.output, files);
        for (const { place } of places) await requireFree(place);
        for (const { file, place } of places) {
          await mkdir(path.dirname(place), { recursive: true });
          await pipeline(await client.tasks.readFile(id, file.path), createWriteStream(place, { flags: "wx" }));
        }
        if (!asJson && files.length > 0) process.stderr.write(`written to ${options.output}:\n`);
      }
      if (asJson) return printJson({ files });
      if (files.length === 0) {
        const { state } = await client.tasks.get(id);
        const why = isEnded(state)
          ? "It has left no files in its output directory"
          : `It is ${state}: files are fetched at its end`;
        return void process.stderr.write(`${why}.\n`);
      }
      printTable(
        ["PATH", "TYPE", "SIZE"],
        files.map((file) => [file.path, file.mediaType, formatBytes(file.sizeBytes)]),
      );
    });
}

/** Throws INVALID_ARGUMENT where a file would be written over; before any is written. */
async function requireFree(place: string): Promise<void> {
  const isTaken = await lstat(place).then(
    () => true,
    () => false,
  );
  if (isTaken)
    throw new FirebreakError("INVALID_ARGUMENT", `${place} is there already`, {
      hint: "Nothing was written. Name another directory with --output.",
    });
}

function addFile(parent: Command): void {
  const command = parent
    .command("file")
    .description("Write a file of a task's output directory to stdout.")
    .argument("<task>", "id")
    .argument("<path>", "below the output directory")
    .action(async (id: string, file: string) => {
      const { client } = await openContext(command);
      await pipeline(await client.tasks.readFile(id, file), process.stdout, { end: false });
    });
}

function addDelete(parent: Command): void {
  const command = parent
    .command("delete")
    .alias("rm")
    .description("Forget tasks that have ended, with their events and files.")
    .argument("[tasks...]", "ids")
    .option("-a, --all", "all that have ended")
    .action(async (ids: string[], options: { all?: boolean }) => {
      requireTargets("task", ids, options.all);
      const { client, asJson } = await openContext(command);
      const ended = options.all
        ? (await client.tasks.list({ state: ["completed", "failed", "cancelled"], limit: 1_000 })).map(({ id }) => id)
        : ids;
      await deleteEach(ended, (id) => client.tasks.delete(id), asJson);
    });
}
