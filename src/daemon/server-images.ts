import {
  formatImageReference,
  isLoopbackRegistry,
  isRegistryReference,
  parseImageReference,
  placeName,
} from "../contract/image-reference.ts";
import { FirebreakError, toFirebreakError } from "../errors/firebreak-error.ts";
import type { PinnedImage, ServerImages } from "../gateway/server-image.ts";
import { lookUpDigest } from "../images/pull.ts";
import { findImage, listImages } from "../images/store.ts";
import type { FirebreakPaths } from "../platform/paths.ts";
import type { WorkOptions } from "../vms/ports.ts";
import type { ImageService } from "./image-service.ts";

export interface ServerImagesOptions {
  paths: FirebreakPaths;
  images: Pick<ImageService, "pull">;
  /** Finds an image by its name, and builds one that there is a recipe for. */
  resolve: (name: string, options: WorkOptions) => Promise<{ digest: string }>;
}

/** The images that MCP servers are, or are installed in: those of a registry by the digest that they have there. */
export function serverImages({ paths, images, resolve }: ServerImagesOptions): ServerImages {
  /** What a place holds now, or what it has of a digest; the image gets the place's name here. */
  const pull = async (name: string, digest: string | undefined, options: WorkOptions): Promise<PinnedImage> => {
    const place = parseImageReference(name);
    const reference = digest === undefined ? name : formatImageReference({ ...place, digest });
    const request = { reference, name: placeName(place), tlsVerify: !isLoopbackRegistry(place.registry) };
    const { image } = await images.pull(request, undefined, options);
    return { name, digest: digest ?? image.source?.digest ?? image.digest, imageDigest: image.digest };
  };

  const pinned = async (name: string, digest: string, options: WorkOptions): Promise<PinnedImage> => {
    const here = (await listImages(paths)).find(({ source }) => source?.digest === digest);
    if (here !== undefined) return { name, digest, imageDigest: here.digest };
    return pull(name, digest, options).catch((thrown: unknown) => {
      const error = toFirebreakError(thrown);
      throw error.code === "IMAGE_NOT_FOUND" ? gone(name, digest, error) : error;
    });
  };

  return {
    async get(name, { known, digest }, options) {
      if (known !== undefined && (await findImage(paths, known.imageDigest)) !== undefined) return known;
      const wanted = digest ?? known?.digest;
      if (!isRegistryReference(name)) {
        const image = await resolve(name, options);
        return { name, digest: image.digest, imageDigest: image.digest };
      }
      if (wanted !== undefined) return pinned(name, wanted, options);
      const here = await findImage(paths, name);
      if (here === undefined) return pull(name, undefined, options);
      return { name, digest: here.source?.digest ?? here.digest, imageDigest: here.digest };
    },

    async getNewest(name, options) {
      if (isRegistryReference(name)) return pull(name, undefined, options);
      const { digest } = await resolve(name, options);
      return { name, digest, imageDigest: digest };
    },

    async lookUp(name, options) {
      if (!isRegistryReference(name)) return (await resolve(name, options)).digest;
      const tlsVerify = !isLoopbackRegistry(parseImageReference(name).registry);
      return lookUpDigest(paths, { reference: name, tlsVerify }, options);
    },
  };
}

function gone(name: string, digest: string, cause: FirebreakError): FirebreakError {
  return new FirebreakError(
    "SERVER_LOCK_UNMET",
    `firebreak.lock has ${digest} of ${name}, which is neither here nor in its registry any more`,
    { cause, hint: "What is there now is taken by: firebreak server update NAME" },
  );
}
