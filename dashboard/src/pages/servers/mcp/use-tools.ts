import { useEffect, useRef, useState } from "react";
import type { ApiError } from "../../../api/client.ts";
import { toApiError } from "../../../api/use-poll.ts";
import { McpConnection, type ToolDefinition } from "./connection.ts";

export interface Tools {
  connection: McpConnection | undefined;
  tools: readonly ToolDefinition[] | undefined;
  error: ApiError | undefined;
}

/** A server's tools as a client sees them, over a session that lasts as long as the page part. Another `mark` lists them anew. */
export function useTools(server: string, isEnabled: boolean, mark: string): Tools {
  const [found, setFound] = useState<Tools>({ connection: undefined, tools: undefined, error: undefined });
  const connection = useRef<McpConnection>(undefined);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the mark says that there are others
  useEffect(() => {
    if (!isEnabled) return;
    let isOver = false;
    const list = async () => {
      connection.current ??= await McpConnection.open(server);
      const tools = await connection.current.listTools();
      if (!isOver) setFound({ connection: connection.current, tools, error: undefined });
    };
    list().catch((thrown: unknown) => {
      if (!isOver) setFound((before) => ({ ...before, error: toApiError(thrown) }));
    });
    return () => {
      isOver = true;
    };
  }, [server, isEnabled, mark]);
  useEffect(
    () => () => {
      void connection.current?.close();
      connection.current = undefined;
    },
    [],
  );
  return found;
}
