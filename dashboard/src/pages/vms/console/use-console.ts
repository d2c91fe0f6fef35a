import { useEffect, useState } from "react";
import type { Vm } from "../../../../../src/contract/vm.ts";
import type { ApiError } from "../../../api/client.ts";
import { follow } from "../../../api/follow.ts";
import { appendOutput } from "../../../terminal-text.ts";
import { vmPath } from "../api.ts";

export interface ConsoleText {
  raw: string;
  /** Bytes that this page did not get, since it did not keep up; it asks for what is kept of them. */
  skippedBytes: number;
  isLive: boolean;
  error?: ApiError;
}

const NOTHING: ConsoleText = { raw: "", skippedBytes: 0, isLive: false };
/** How long after something was missed it is asked for again, ms: while a console floods, each time is of use only for so long. */
const ASK_AGAIN_MS = 3_000;

/** A VM's console: what is kept of it, then what comes while it runs. */
export function useConsole({ id, state, startedAt }: Vm): ConsoleText {
  const [shown, setShown] = useState(NOTHING);
  const [attempt, setAttempt] = useState(0);
  // Of each life of its own: a console that has ended is asked for again when there is another.
  const life = state === "running" ? startedAt : state;
  // biome-ignore lint/correctness/useExhaustiveDependencies: its life and the attempt are what it waits for
  useEffect(() => {
    const controller = new AbortController();
    let next = NOTHING;
    // What is kept comes first, and replaces what is shown.
    let isFirst = true;
    let frame: number | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const show = (changes: Partial<ConsoleText>) => {
      next = { ...next, ...changes };
      // A console that says much is painted as often as the screen.
      frame ??= requestAnimationFrame(() => {
        frame = undefined;
        setShown(next);
      });
    };
    const onText = (text: string) => {
      show({ raw: appendOutput(isFirst ? "" : next.raw, text) });
      isFirst = false;
    };
    const onSkipped = (bytes: number) => {
      show({ skippedBytes: next.skippedBytes + bytes });
      timer ??= setTimeout(() => setAttempt((before) => before + 1), ASK_AGAIN_MS);
    };
    setShown((before) => ({ ...before, skippedBytes: 0 }));
    void follow({
      path: () => ({ path: vmPath(id, "/logs"), query: { stream: "sse" } }),
      onConnection: (isLive) => {
        isFirst = true;
        setShown((before) => ({ ...before, isLive }));
        next = { ...next, isLive };
      },
      onError: (error) => show({ error, isLive: false }),
      onEvents: (events) => {
        for (const { event, data } of events) {
          if (event === "text") onText(JSON.parse(data) as string);
          else if (event === "skipped") onSkipped(Number(data));
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
      clearTimeout(timer);
      if (frame !== undefined) cancelAnimationFrame(frame);
    };
  }, [id, life, attempt]);
  return shown;
}
