import { useEffect, useState } from "react";
import type { Vm } from "../../../../../src/contract/vm.ts";
import type { ApiError } from "../../../api/client.ts";
import { follow } from "../../../api/follow.ts";
import { appendOutput } from "../../../terminal-text.ts";
import { vmPath } from "../api.ts";

export interface ConsoleText {
  raw: string;
  /** Bytes that this page did not get, since it did not keep up. */
  skippedBytes: number;
  isLive: boolean;
  error?: ApiError;
}

const NOTHING: ConsoleText = { raw: "", skippedBytes: 0, isLive: false };

/** A VM's console: what is kept of it, then what comes while it runs. */
export function useConsole({ id, state, startedAt }: Vm): ConsoleText {
  const [shown, setShown] = useState(NOTHING);
  // Of each life of its own: a console that has ended is asked for again when there is another.
  const life = state === "running" ? startedAt : state;
  // biome-ignore lint/correctness/useExhaustiveDependencies: its life is what it waits for
  useEffect(() => {
    const controller = new AbortController();
    let next = NOTHING;
    let frame: number | undefined;
    const show = (changes: Partial<ConsoleText>) => {
      next = { ...next, ...changes };
      // A console that says much is painted as often as the screen.
      frame ??= requestAnimationFrame(() => {
        frame = undefined;
        setShown(next);
      });
    };
    void follow({
      path: () => ({ path: vmPath(id, "/logs"), query: { stream: "sse" } }),
      onConnection: (isLive) => show(isLive ? { ...NOTHING, isLive } : { isLive }),
      onError: (error) => show({ error, isLive: false }),
      onEvents: (events) => {
        for (const { event, data } of events) {
          if (event === "text") show({ raw: appendOutput(next.raw, JSON.parse(data) as string) });
          else if (event === "skipped") show({ skippedBytes: next.skippedBytes + Number(data) });
          else if (event === "end") {
            show({ isLive: false });
            return true;
          }
        }
        return undefined;
      },
      signal: controller.signal,
    });
    return () => {
      controller.abort();
      if (frame !== undefined) cancelAnimationFrame(frame);
    };
  }, [id, life]);
  return shown;
}
