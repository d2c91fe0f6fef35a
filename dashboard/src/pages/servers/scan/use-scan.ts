import { useCallback, useEffect, useState } from "react";
import type { ServerScan } from "../../../../../src/contract/server.ts";
import { type ApiError, requestLines } from "../../../api/client.ts";
import { toApiError } from "../../../api/use-poll.ts";
import { serverPath } from "../api.ts";

export interface Scan {
  scan: ServerScan | undefined;
  error: ApiError | undefined;
  refresh: () => Promise<void>;
}

/** What there is to say of a server's definitions. Another `mark` asks anew. */
export function useScan(server: string, isEnabled: boolean, mark: string): Scan {
  const [scan, setScan] = useState<ServerScan>();
  const [error, setError] = useState<ApiError>();
  const refresh = useCallback(async () => {
    try {
      setScan(await requestLines<ServerScan>("POST", serverPath(server, "/scan"), { body: {} }));
      setError(undefined);
    } catch (thrown) {
      setError(toApiError(thrown));
    }
  }, [server]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the mark says that there is more to see
  useEffect(() => {
    if (isEnabled) void refresh();
  }, [isEnabled, mark, refresh]);
  return { scan, error, refresh };
}
