import { z } from "zod";
import type { WorkOptions } from "../vms/ports.ts";

/** The image of a server that names one, as it was when it was last looked for. */
export const pinnedImageSchema = z.object({
  /** As the configuration has it. */
  name: z.string(),
  /** What its registry has it as; of an image that comes from none, its digest here. */
  digest: z.string(),
  /** Its digest here. */
  imageDigest: z.string(),
});
export type PinnedImage = z.infer<typeof pinnedImageSchema>;

/** Images that servers name. Implemented by src/daemon/server-images.ts. */
export interface ServerImages {
  /**
   * An image: `known` while that is here, the one of `digest` in its registry, or what the name means here, which is fetched if need be. Throws as a pull does,
   * SERVER_LOCK_UNMET when there is none of that digest.
   */
  get(
    name: string,
    wanted: { known?: PinnedImage | undefined; digest?: string | undefined },
    options: WorkOptions,
  ): Promise<PinnedImage>;
  /** What the name means now, in its registry if it is of one. */
  getNewest(name: string, options: WorkOptions): Promise<PinnedImage>;
  /** The digest of that, without fetching it. */
  lookUp(name: string, options: WorkOptions): Promise<string>;
}
