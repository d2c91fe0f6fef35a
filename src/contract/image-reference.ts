import { FirebreakError } from "../errors/firebreak-error.ts";

/** Base64 of the JSON of the login to a registry. */
export const REGISTRY_AUTH_HEADER = "firebreak-registry-auth";

/** Where an image lies in a registry. */
export interface ImageReference {
  /** Host, with a port where one was given. */
  registry: string;
  repository: string;
  tag?: string;
  /** "sha256:…" */
  digest?: string;
}

const DEFAULT_REGISTRY = "docker.io";
const HOST =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/;
const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const MAX_LENGTH = 512;
/** Of an image's name here, without its tag (src/images/names.ts). */
const MAX_NAME_LENGTH = 63;

/** `[docker://][HOST[:PORT]/]REPOSITORY[:TAG][@DIGEST]`; Docker Hub without a host, as everywhere. Throws INVALID_ARGUMENT. */
export function parseImageReference(text: string): ImageReference {
  const [, name = "", digest] = /^(?:docker:\/\/)?([^@]*)(?:@(.*))?$/s.exec(text) ?? [];
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const hasHost = first.includes(".") || first.includes(":") || first === "localhost";
  const registry = hasHost ? first : DEFAULT_REGISTRY;
  const rest = hasHost ? name.slice(slash + 1) : name;
  const colon = rest.lastIndexOf(":");
  const path = colon < 0 ? rest : rest.slice(0, colon);
  const tag = colon < 0 ? undefined : rest.slice(colon + 1);
  const repository = registry === DEFAULT_REGISTRY && !path.includes("/") ? `library/${path}` : path;
  const isGood =
    text.length <= MAX_LENGTH &&
    HOST.test(registry) &&
    REPOSITORY.test(repository) &&
    (tag === undefined || TAG.test(tag)) &&
    (digest === undefined || DIGEST.test(digest));
  if (!isGood) {
    throw new FirebreakError(
      "INVALID_ARGUMENT",
      `${JSON.stringify(text.slice(0, MAX_LENGTH))} names no image in a registry`,
      {
        hint: "Such as debian:12, ghcr.io/owner/image:tag or localhost:5000/image@sha256:…",
      },
    );
  }
  return {
    registry,
    repository,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/**
 * Where an image is pushed to: a registry by its name, since what is published by mistake is published, and a tag rather than a digest.
 * Throws INVALID_ARGUMENT.
 */
export function parsePushReference(text: string): ImageReference {
  const reference = parseImageReference(text);
  const { registry, repository, tag, digest } = reference;
  const hint = `Such as ${registry}/${repository}:${tag ?? "latest"}`;
  if (!text.replace(/^docker:\/\//, "").startsWith(`${registry}/`))
    throw new FirebreakError("INVALID_ARGUMENT", `${JSON.stringify(text)} names no registry to push to`, { hint });
  if (digest !== undefined)
    throw new FirebreakError("INVALID_ARGUMENT", "an image is pushed to a tag; its digest follows from what it is", {
      hint,
    });
  return reference;
}

/** Throws INVALID_ARGUMENT when a registry that is not on this host is to be talked to without TLS. */
export function requireTls({ registry }: ImageReference, tlsVerify: boolean): void {
  if (tlsVerify || isLoopbackRegistry(registry)) return;
  throw new FirebreakError("INVALID_ARGUMENT", `${registry} is not on this host, so it is not talked to without TLS`, {
    hint: "--tls-verify=false is for registries such as localhost:5000.",
  });
}

/** The reference written out, without a tag where there is a digest: that alone says what is meant. */
export function formatImageReference({ registry, repository, tag, digest }: ImageReference): string {
  return `${registry}/${repository}${digest === undefined ? `:${tag ?? "latest"}` : `@${digest}`}`;
}

/** The name that a pulled image gets unless another is given: `python`, or `python:3.13` where the tag says something. */
export function defaultImageName({ repository, tag }: ImageReference): string {
  const last = repository.slice(repository.lastIndexOf("/") + 1);
  return tag === undefined || tag === "latest" ? last : `${last}:${tag}`;
}

/** Whether a text is a place in a registry rather than an image's name here: it says whose the image is (`OWNER/IMAGE`, `HOST/IMAGE`). */
export function isRegistryReference(text: string): boolean {
  if (!text.includes("/")) return false;
  try {
    parseImageReference(text);
    return true;
  } catch {
    return false;
  }
}

/** A name that no other place in a registry has, and nobody gives by hand: the whole place, as far as it fits. */
export function placeName(reference: ImageReference): string {
  const { registry, repository, tag, digest } = reference;
  const base = `${registry}-${repository}`.toLowerCase().replaceAll(/[^a-z0-9._-]+/g, "-");
  const version =
    digest === undefined
      ? (tag ?? "latest").slice(0, MAX_NAME_LENGTH)
      : digest.slice("sha256:".length, "sha256:".length + 16);
  return `${base.slice(-MAX_NAME_LENGTH).replace(/^[._-]+/, "")}:${version}`;
}

/** A registry on this host, where nobody can listen in between. */
export function isLoopbackRegistry(registry: string): boolean {
  const host = registry.replace(/:\d+$/, "");
  return host === "localhost" || host === "[::1]" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}
