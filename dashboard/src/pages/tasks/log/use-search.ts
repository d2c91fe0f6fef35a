import { useEffect, useMemo, useState } from "react";

/** How long after the last key the search begins, ms. */
const DELAY_MS = 150;

export interface Search {
  /** As it is typed. */
  text: string;
  setText: (text: string) => void;
  /** What is searched for, in lower case. */
  query: string;
  /** Indices of rows. */
  matches: readonly number[];
  /** Which of them is looked at; -1: none. */
  current: number;
  step: (by: 1 | -1) => void;
}

/** Finds rows by their text. `version` tells that there are others than before. */
export function useSearch(count: number, version: unknown, textOf: (index: number) => string): Search {
  const [text, setText] = useState("");
  const [query, setQuery] = useState("");
  const [current, setCurrent] = useState(-1);
  useEffect(() => {
    const timer = setTimeout(() => {
      setQuery(text.trim().toLowerCase());
      setCurrent(text.trim() === "" ? -1 : 0);
    }, DELAY_MS);
    return () => clearTimeout(timer);
  }, [text]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `version` stands for the rows
  const matches = useMemo(() => {
    const found: number[] = [];
    if (query !== "")
      for (let index = 0; index < count; index++) if (textOf(index).toLowerCase().includes(query)) found.push(index);
    return found;
  }, [query, count, version]);
  const step = (by: 1 | -1) => {
    if (matches.length > 0) setCurrent((at) => (at + by + matches.length) % matches.length);
  };
  return {
    text,
    setText,
    query,
    matches,
    current: matches.length === 0 ? -1 : Math.min(current, matches.length - 1),
    step,
  };
}
