import { z } from "zod";

/** Which volume a call is about. */
export const volumeArgument = z.string().min(1).max(200).describe("Name or id of the volume (volume_list shows them).");
