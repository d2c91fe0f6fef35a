import { agentFor, type Dial } from "../gateway/remote/dial.ts";
import { S3Storage, urlOf } from "../tasks/results/s3.ts";
import type { ResultStorage } from "../tasks/results/storage.ts";
import type { TaskSettings } from "../tasks/settings.ts";

const MAX_CONNECTIONS = 8;

export interface RemoteStorageOptions {
  /** Read anew with each use. */
  settings: () => TaskSettings["storage"];
  /** Throws SECRET_NOT_FOUND. */
  secretValue: (name: string) => string;
  dial: Dial;
}

/** The storage that firebreak.toml names, made when it is used and again when the file says something else. */
export function createRemoteStorage(options: RemoteStorageOptions): () => ResultStorage | undefined {
  let made: { of: string; storage: S3Storage } | undefined;
  return () => {
    const settings = options.settings();
    if (settings === undefined) return undefined;
    const of = JSON.stringify(settings);
    if (made?.of === of) return made.storage;
    const { keys, ...place } = settings;
    // Its owner has named it, so that it may be on this host, or in a private network.
    const agent = agentFor(urlOf(place, ""), options.dial, true, { keepAlive: true, maxSockets: MAX_CONNECTIONS });
    const storage = new S3Storage({
      settings: place,
      keys: () => ({
        accessKeyId: options.secretValue(keys.id),
        secretAccessKey: options.secretValue(keys.secret),
        sessionToken: keys.token === undefined ? undefined : options.secretValue(keys.token),
      }),
      agent,
    });
    made = { of, storage };
    return storage;
  };
}
