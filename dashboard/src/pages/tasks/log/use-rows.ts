import { type RefObject, useCallback, useEffect, useLayoutEffect, useMemo, useReducer, useRef } from "react";
import { flushSync } from "react-dom";
import { RowSizes } from "./row-sizes.ts";

/** What is drawn beyond what can be seen, px: a frame's worth of fast scrolling. */
const MARGIN_PX = 400;
/** A row that is gone to is held for so long, ms: those above it are measured as they come into sight, and a scroll that a key has begun goes on for a while. */
const SEEK_MS = 1_000;

interface RowsOptions {
  count: number;
  /** The element that scrolls. */
  list: RefObject<HTMLElement | null>;
  /** About how high a row will be, px, in a list of some width. */
  guess: (index: number, width: number) => number;
  /** Other rows altogether. */
  kind: string;
  /** The list follows its end: what is measured above that moves nothing. */
  isPinned: boolean;
}

export interface Rows {
  /** Of all rows, px. */
  total: number;
  /** Where the first one that is drawn begins, px. */
  start: number;
  /** Indices of those that are drawn. */
  drawn: readonly number[];
  /** For each row that is drawn, whose `data-index` it goes by. */
  measure: (element: HTMLElement | null) => () => void;
  /** Brings a row into the middle. */
  seek: (index: number) => void;
}

/** Of very many rows of unknown heights those that can be seen, drawn as the list is scrolled. What is seen stays where it is when rows above it are measured. */
export function useRows({ count, list, guess, kind, isPinned }: RowsOptions): Rows {
  const [, draw] = useReducer((times: number) => times + 1, 0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: others than before
  const sizes = useMemo(() => new RowSizes(), [kind]);
  const drawnRange = useRef({ first: 0, last: -1 });
  const pinned = useRef(isPinned);
  pinned.current = isPinned;
  const sought = useRef<{ index: number; untilMs: number } | undefined>(undefined);

  const element = list.current;
  const width = element?.clientWidth ?? 900;
  sizes.grow(count, (index) => guess(index, width));
  const range = rangeOf(sizes, element);
  drawnRange.current = range;

  const observer = useMemo(
    () =>
      new ResizeObserver((entries) => {
        const scroller = list.current;
        if (scroller === null) return;
        let above = 0;
        let isChanged = false;
        for (const { target, borderBoxSize } of entries) {
          const index = Number((target as HTMLElement).dataset.index);
          const offset = sizes.offsetOf(index);
          const delta = sizes.set(index, borderBoxSize[0]?.blockSize ?? 0);
          if (delta === 0) continue;
          isChanged = true;
          if (offset + above < scroller.scrollTop) above += delta;
        }
        if (!isChanged) return;
        flushSync(draw);
        if (above !== 0 && sought.current === undefined && !pinned.current) scroller.scrollTop += above;
      }),
    [list, sizes],
  );
  useEffect(() => () => observer.disconnect(), [observer]);

  const goToSought = useCallback(() => {
    const scroller = list.current;
    const goal = sought.current;
    if (scroller === null || goal === undefined) return;
    const middle = sizes.offsetOf(goal.index) + sizes.sizeOf(goal.index) / 2;
    const wanted = Math.max(0, Math.round(middle - scroller.clientHeight / 2));
    if (Math.abs(scroller.scrollTop - wanted) > 1) scroller.scrollTop = wanted;
    if (performance.now() > goal.untilMs) sought.current = undefined;
  }, [list, sizes]);

  useEffect(() => {
    const scroller = list.current;
    if (scroller === null) return;
    const onScroll = () => {
      const { first, last } = rangeOf(sizes, scroller);
      if (first !== drawnRange.current.first || last !== drawnRange.current.last) flushSync(draw);
      else goToSought();
    };
    const onWidth = new ResizeObserver(() => draw());
    const letGo = () => {
      sought.current = undefined;
    };
    scroller.addEventListener("scroll", onScroll, { passive: true });
    scroller.addEventListener("wheel", letGo, { passive: true });
    scroller.addEventListener("pointerdown", letGo, { passive: true });
    onWidth.observe(scroller);
    return () => {
      scroller.removeEventListener("scroll", onScroll);
      scroller.removeEventListener("wheel", letGo);
      scroller.removeEventListener("pointerdown", letGo);
      onWidth.disconnect();
    };
  }, [list, sizes, goToSought]);

  useLayoutEffect(goToSought);
  const seek = useCallback(
    (index: number) => {
      const isUnderWay = sought.current !== undefined;
      sought.current = { index, untilMs: performance.now() + SEEK_MS };
      // Drawn with each frame: while a scroll that a key has begun comes to its end, not every place that is set is told of.
      const hold = () => {
        const scroller = list.current;
        if (sought.current === undefined || scroller === null) return;
        draw();
        requestAnimationFrame(hold);
      };
      goToSought();
      if (!isUnderWay) requestAnimationFrame(hold);
    },
    [goToSought, list],
  );

  const measure = useCallback(
    (row: HTMLElement | null) => {
      if (row === null) return () => {};
      observer.observe(row);
      return () => observer.unobserve(row);
    },
    [observer],
  );
  const drawn = Array.from({ length: range.last - range.first + 1 }, (_, at) => range.first + at);
  return { total: sizes.total, start: sizes.offsetOf(range.first), drawn, measure, seek };
}

/** The first and the last row that are drawn; none where there are none. */
function rangeOf(sizes: RowSizes, scroller: HTMLElement | null): { first: number; last: number } {
  if (sizes.count === 0) return { first: 0, last: -1 };
  const top = scroller?.scrollTop ?? 0;
  const height = scroller?.clientHeight ?? 800;
  return { first: sizes.indexAt(top - MARGIN_PX), last: sizes.indexAt(top + height + MARGIN_PX) };
}
