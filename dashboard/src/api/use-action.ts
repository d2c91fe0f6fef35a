import { useState } from "react";
import { useToast } from "../components/toast.tsx";
import type { ApiError } from "./client.ts";
import { toApiError } from "./use-poll.ts";

export interface Action {
  isBusy: boolean;
  error: ApiError | undefined;
  /** Does it; resolves to whether that went well. A failure is shown as a toast too. */
  run: (work: () => Promise<unknown>, done?: string) => Promise<boolean>;
}

/** Something that a button does. `showsError`: the page part shows `error` itself, and there is no toast of it. */
export function useAction({ showsError = false } = {}): Action {
  const toast = useToast();
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const run = async (work: () => Promise<unknown>, done?: string): Promise<boolean> => {
    setBusy(true);
    setError(undefined);
    try {
      await work();
      if (done !== undefined) toast({ tone: "good", text: done });
      return true;
    } catch (thrown) {
      const failure = toApiError(thrown);
      setError(failure);
      if (!showsError) toast({ tone: "bad", text: `${failure.message} (${failure.code})` });
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { isBusy, error, run };
}
