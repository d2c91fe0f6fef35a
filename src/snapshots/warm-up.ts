import { setTimeout as sleep } from "node:timers/promises";
import { encodeJsonFrame, FRAME } from "../contract/frames.ts";
import type { ErrorCode } from "../errors/catalogue.ts";
import { FirebreakError } from "../errors/firebreak-error.ts";
import type { GuestClient } from "../guest/client.ts";
import type { GuestConnection } from "../guest/connection.ts";
import type { PersonaliseValues } from "../guest/protocol.ts";
import type { Manifest } from "./manifest.ts";

/** What many a VM's first command needs is read into the template's memory once: a shell, the C library, the programs of the simplest commands. */
const WARM_COMMAND = ["/bin/sh", "-c", "true; sleep 0; ls /; cat /dev/null; /bin/true"];
/** Where forks write first: the folder itself is copied to the overlay once for all of them, and what ext4 needs for that is in memory. */
const WARM_FOLDERS = ["/root", "/tmp"];
const WARM_NAME = ".firebreak-warm-up";
const NO_SHELL: ReadonlySet<ErrorCode> = new Set(["COMMAND_NOT_FOUND", "COMMAND_NOT_EXECUTABLE"]);
/** An identity that no VM keeps: each fork's own takes its place before any command runs. */
function placeholderIdentity(): PersonaliseValues {
  return {
    // Shorter than any other: files that hold it grow when a fork writes its own there, where cutting them would cost a guest 600 blocks of code more.
    hostname: "t",
    machineId: "0".repeat(32),
    bootId: "00000000-0000-4000-8000-000000000000",
    wallClockMs: Date.now(),
    isNewMachine: true,
  };
}

/** For the guest to notice that its host has gone; one that has not by then notices after its restore. */
const SETTLE_MS = 100;

/** Makes a fresh guest ready to be saved, and leaves it waiting for its next host. Returns what its agent can do. */
export async function warmUp(client: GuestClient, connection: GuestConnection): Promise<Manifest["agent"]> {
  const hello = await client.hello();
  await runWarmCommand(client);
  for (const folder of WARM_FOLDERS) await useFolder(client, `${folder}/${WARM_NAME}`);
  // The files of the image that a fork's personalising changes are copied to the overlay now, once for all forks.
  await client.personalise(placeholderIdentity());
  await client.sync();
  const generation = connection.generation;
  connection.close();
  await sleep(SETTLE_MS);
  return { generation, features: hello.features ?? [] };
}

async function useFolder(client: GuestClient, scratch: string): Promise<void> {
  try {
    await client.makeDirectory(scratch, { parents: false });
  } catch (error) {
    // An image need not have the folder. A guest that is lost says so to the next who asks.
    if (error instanceof FirebreakError) return;
    throw error;
  }
  await client.deleteFile(scratch, true);
}

async function runWarmCommand(client: GuestClient): Promise<void> {
  const stream = await client.openExec();
  stream.write(encodeJsonFrame(FRAME.spec, { argv: WARM_COMMAND, id: "warm-up" }));
  try {
    await client.awaitHead(stream, "/v1/exec");
  } catch (error) {
    // An image need not have a shell.
    if (error instanceof FirebreakError && NO_SHELL.has(error.code)) return;
    throw error;
  }
  stream.resume();
  await new Promise((resolve) => stream.once("close", resolve));
  // No fork is to find a command that it did not run.
  await client.execDelete("warm-up").catch(() => {});
}
