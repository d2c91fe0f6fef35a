import type { ReactNode } from "react";

export type Tone = "neutral" | "live" | "good" | "bad" | "warn" | "info";

/** How the states of tasks, VMs and MCP servers look. Colour never stands alone: the word is there. */
const TONES: Record<string, Tone> = {
  running: "live",
  starting: "info",
  collecting: "info",
  creating: "info",
  preparing: "info",
  queued: "neutral",
  completed: "good",
  ready: "good",
  delivered: "good",
  allowed: "good",
  failed: "bad",
  denied: "bad",
  crashed: "bad",
  lost: "bad",
  timeout: "bad",
  budget: "warn",
  cancelled: "neutral",
  needs_login: "warn",
  needs_approval: "warn",
  paused: "warn",
};

export const toneOf = (state: string): Tone => TONES[state] ?? "neutral";

/** A state in one word; `tone` where the word is none of the known ones. */
export function StateBadge({ state, tone = toneOf(state) }: { state: string; tone?: Tone }) {
  return (
    <span className={`badge badge-${tone}`}>
      <span className={tone === "live" ? "dot dot-live" : "dot"} aria-hidden="true" />
      {state.replaceAll("_", " ")}
    </span>
  );
}

/** A short fact in a frame: a label, a count. */
export function Chip({ children, title }: { children: ReactNode; title?: string }) {
  return (
    <span className="chip" title={title}>
      {children}
    </span>
  );
}
