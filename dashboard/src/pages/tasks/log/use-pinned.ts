import { type RefObject, useCallback, useEffect, useRef, useState } from "react";

/** So near to the end counts as being there, px. */
const NEAR_PX = 40;
/** How long after somebody has touched it a scroll is theirs, ms. */
const INTENT_MS = 600;

/**
 * Whether a list follows its end. It stops when the reader scrolls up, and begins again when they come back to the end; that rows are measured and move is
 * nobody's wish.
 */
export function usePinned(
  element: RefObject<HTMLElement | null>,
  isAtFirst: boolean,
): [boolean, (pinned: boolean) => void] {
  const [isPinned, setPinned] = useState(isAtFirst);
  const touchedAt = useRef(0);
  useEffect(() => {
    const list = element.current;
    if (list === null) return;
    let lastTop = list.scrollTop;
    const touch = () => {
      touchedAt.current = performance.now();
    };
    const onScroll = () => {
      const top = list.scrollTop;
      const isTheirs = performance.now() - touchedAt.current < INTENT_MS;
      const isNear = list.scrollHeight - top - list.clientHeight < NEAR_PX;
      if (isTheirs && isNear && top >= lastTop) setPinned(true);
      else if (isTheirs && top < lastTop) setPinned(false);
      lastTop = top;
    };
    const events = ["wheel", "touchstart", "touchmove", "keydown", "pointerdown", "pointermove"] as const;
    for (const event of events) list.addEventListener(event, touch, { passive: true });
    list.addEventListener("scroll", onScroll, { passive: true });
    return () => {
      for (const event of events) list.removeEventListener(event, touch);
      list.removeEventListener("scroll", onScroll);
    };
  }, [element]);
  const decide = useCallback((pinned: boolean) => {
    // A scroll that a key has begun goes on for a while, and is nobody's wish any more.
    touchedAt.current = Number.NEGATIVE_INFINITY;
    setPinned(pinned);
  }, []);
  return [isPinned, decide];
}
