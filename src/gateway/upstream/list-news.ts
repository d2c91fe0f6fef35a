import type { UpstreamSession } from "./session.ts";

const LISTS = [
  ["tools", "toolsListChanged"],
  ["prompts", "promptsListChanged"],
  ["resources", "resourcesListChanged"],
] as const;

/**
 * A server of the new revision says that it offers something else to whoever listens for that, those of the older ones say it unasked. What it
 * says comes as notifications; the request itself is under way for as long as the session.
 */
export function listenForLists(session: UpstreamSession): void {
  if (session.terms.era !== "modern") return;
  const changing = LISTS.filter(([capability]) => {
    const offered = session.terms.capabilities[capability] as { listChanged?: unknown } | undefined;
    return offered?.listChanged === true;
  });
  if (changing.length === 0) return;
  const notifications = Object.fromEntries(changing.map(([, name]) => [name, true]));
  // One that does not do what it says it can is served all the same.
  session.request("subscriptions/listen", { notifications }).catch(() => {});
}
