import { useEffect, useRef, useState } from "react";

export interface Sample {
  atMs: number;
  value: number;
}

/** The last values of something that is polled, for a chart; `undefined` adds none. A page that is opened anew begins anew. */
export function useHistory(value: number | undefined, mark: unknown, length = 120): Sample[] {
  const [samples, setSamples] = useState<Sample[]>([]);
  const last = useRef<unknown>(undefined);
  useEffect(() => {
    if (value === undefined || mark === last.current) return;
    last.current = mark;
    setSamples((before) => [...before.slice(1 - length), { atMs: Date.now(), value }]);
  }, [value, mark, length]);
  return samples;
}
