import type { AnyTool } from "../tool.ts";
import { describe } from "./describe.ts";
import { doctor } from "./doctor.ts";
import { hostInfo } from "./host-info.ts";
import { ping } from "./ping.ts";
import { usage } from "./usage.ts";

/** The machine that runs the VMs, and firebreak itself. */
export const hostTools: readonly AnyTool[] = [ping, describe, doctor, hostInfo, usage];
