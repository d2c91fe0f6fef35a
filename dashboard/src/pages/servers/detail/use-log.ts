import { useEffect, useState } from "react";
import { type ApiError, fetchApi } from "../../../api/client.ts";
import { toApiError } from "../../../api/use-poll.ts";
import { appendOutput } from "../../../terminal-text.ts";

/** The newest end of a log that is answered as text and goes on. */
export function useLog(path: string): { raw: string; error: ApiError | undefined } {
  const [raw, setRaw] = useState("");
  const [error, setError] = useState<ApiError>();
  useEffect(() => {
    const controller = new AbortController();
    let text = "";
    let frame: number | undefined;
    const read = async () => {
      const response = await fetchApi("GET", path, { query: { follow: true }, signal: controller.signal });
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const piece = await reader?.read();
        if (piece === undefined || piece.done) return;
        text = appendOutput(text, piece.value);
        frame ??= requestAnimationFrame(() => {
          frame = undefined;
          setRaw(text);
        });
      }
    };
    read().catch((thrown: unknown) => controller.signal.aborted || setError(toApiError(thrown)));
    return () => {
      controller.abort();
      if (frame !== undefined) cancelAnimationFrame(frame);
    };
  }, [path]);
  return { raw, error };
}
