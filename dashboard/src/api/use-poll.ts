import { useCallback, useEffect, useRef, useState } from "react";
import { ApiError, get } from "./client.ts";

export interface Polled<T> {
  /** The last answer; stays when a later request fails. */
  data: T | undefined;
  /** Why the last request failed. */
  error: ApiError | undefined;
  /** Asks at once. */
  refresh: () => Promise<void>;
}

/**
 * A GET answer, asked for again every `intervalMs` while the page is seen (0: once). `path` undefined asks for nothing. Another path forgets the answer of
 * the one before.
 */
export function usePoll<T>(path: string | undefined, intervalMs: number): Polled<T> {
  const [state, setState] = useState<{ path: string | undefined; data?: T; error?: ApiError }>({ path });
  const current = useRef(path);
  current.current = path;
  const refresh = useCallback(async () => {
    if (path === undefined) return;
    try {
      const data = await get<T>(path);
      if (current.current === path) setState({ path, data });
    } catch (thrown) {
      const error = toApiError(thrown);
      if (current.current === path) setState((before) => ({ ...(before.path === path ? before : {}), path, error }));
    }
  }, [path]);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isOver = false;
    const ask = async () => {
      clearTimeout(timer);
      if (!document.hidden) await refresh();
      if (!isOver && intervalMs > 0) timer = setTimeout(ask, intervalMs);
    };
    const onVisible = () => {
      if (!document.hidden) void ask();
    };
    void ask();
    if (intervalMs > 0) document.addEventListener("visibilitychange", onVisible);
    return () => {
      isOver = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisible);
    };
  }, [refresh, intervalMs]);
  const isCurrent = state.path === path;
  return { data: isCurrent ? state.data : undefined, error: isCurrent ? state.error : undefined, refresh };
}

/** Whatever was thrown, as what ErrorBox shows. */
export function toApiError(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown;
  return new ApiError(0, { code: "INTERNAL", message: thrown instanceof Error ? thrown.message : String(thrown) });
}
