import { z } from "zod";

/** Which VM a call is about. Always required: a guess would run a command in the wrong machine. */
export const vmArgument = z.string().min(1).max(200).describe("Name or id of the VM (vm_list shows them).");

/** A path in a VM; the daemon refuses what is not absolute (INVALID_PATH). */
export const pathArgument = z.string().min(1).max(16_384).describe("Absolute path in the VM.");
