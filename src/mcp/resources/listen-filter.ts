/** Most that one client's stream hears the changes of. */
const MAX_URIS = 256;

/**
 * What a modern client's `subscriptions/listen` wants to hear of resources; undefined for any other message. What is malformed is refused by
 * the SDK, not here.
 */
export function readListenFilter(message: unknown): { uris: string[]; wantsList: boolean } | undefined {
  const { method, params } = (message ?? {}) as { method?: unknown; params?: { notifications?: unknown } };
  if (method !== "subscriptions/listen") return undefined;
  const filter = (params?.notifications ?? {}) as { resourceSubscriptions?: unknown; resourcesListChanged?: unknown };
  const uris = Array.isArray(filter.resourceSubscriptions) ? filter.resourceSubscriptions : [];
  return {
    uris: uris.filter((uri): uri is string => typeof uri === "string").slice(0, MAX_URIS),
    wantsList: filter.resourcesListChanged === true,
  };
}
