import { type KeyboardEvent, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import { Button } from "../../../components/button.tsx";
import { Empty, ErrorBox } from "../../../components/feedback.tsx";
import { formatCount } from "../../../format.ts";
import { BlockRow } from "./block-row.tsx";
import { type Block, textOf } from "./blocks.ts";
import { estimateBlock, estimateRaw } from "./estimate.ts";
import type { LogSnapshot } from "./log-store.ts";
import { RawRow } from "./raw-row.tsx";
import { usePinned } from "./use-pinned.ts";
import { useRows } from "./use-rows.ts";
import { useSearch } from "./use-search.ts";
import "./log.css";

/** Lines of output stand together; what has a frame stands by itself. */
const classOf = (block: Block | undefined) =>
  block === undefined || block.kind === "output" || block.kind === "note" ? "log-row" : "log-row log-row-framed";

interface LogViewProps {
  log: LogSnapshot;
  /** Follow the end from the first: of a task that has not ended. */
  isFollowing: boolean;
}

/** The log of a task: what can be seen of it is drawn, of a hundred thousand rows too. */
export function LogView({ log, isFollowing }: LogViewProps) {
  const [isRaw, setRaw] = useState(false);
  const [whole, setWhole] = useState<ReadonlySet<number>>(new Set());
  const list = useRef<HTMLDivElement>(null);
  const searchField = useRef<HTMLInputElement>(null);
  const [isPinned, setPinned] = usePinned(list, isFollowing);
  const count = isRaw ? log.events.length : log.blocks.length;
  const search = useSearch(count, isRaw, (index) => {
    const block = log.blocks[index];
    return isRaw ? JSON.stringify(log.events[index]) : block === undefined ? "" : textOf(block);
  });
  const guess = (index: number, width: number) => {
    const event = log.events[index];
    const block = log.blocks[index];
    if (isRaw) return event === undefined ? 0 : estimateRaw(event, width);
    return block === undefined ? 0 : estimateBlock(block, width);
  };
  const { total, start, drawn, measure, seek } = useRows({
    count,
    list,
    guess,
    kind: isRaw ? "raw" : "blocks",
    isPinned,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: rows that come, and those that are measured, move the end
  useLayoutEffect(() => {
    if (isPinned && list.current !== null) list.current.scrollTop = list.current.scrollHeight;
  }, [isPinned, total, count]);
  const found = search.matches[search.current];
  useEffect(() => {
    if (found === undefined) return;
    setPinned(false);
    seek(found);
  }, [found, seek, setPinned]);
  const showAll = useCallback((seq: number) => setWhole((before) => new Set(before).add(seq)), []);
  const onListKey = (event: KeyboardEvent) => {
    // The browser's own search finds what is drawn only.
    const isFind = (event.key === "f" && (event.ctrlKey || event.metaKey)) || event.key === "/";
    if (!isFind || event.target instanceof HTMLInputElement) return;
    event.preventDefault();
    searchField.current?.focus();
  };
  const onSearchKey = (event: KeyboardEvent) => {
    if (event.key === "Enter") search.step(event.shiftKey ? -1 : 1);
    if (event.key === "Escape") search.setText("");
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: keys that lead to the search field
    <div className="log" onKeyDown={onListKey}>
      <div className="log-bar">
        <div className="log-search">
          <input
            ref={searchField}
            className="input"
            type="search"
            aria-label="Search the log"
            placeholder="Search"
            value={search.text}
            onChange={(event) => search.setText(event.target.value)}
            onKeyDown={onSearchKey}
          />
          {search.query !== "" && (
            <>
              <span className="log-found" role="status">
                {search.matches.length === 0
                  ? "nothing"
                  : `${formatCount(search.current + 1)} of ${formatCount(search.matches.length)}`}
              </span>
              <Button tone="quiet" icon="up" aria-label="Previous match" onClick={() => search.step(-1)} />
              <Button tone="quiet" icon="down" aria-label="Next match" onClick={() => search.step(1)} />
            </>
          )}
        </div>
        <span className="log-count">
          {formatCount(log.events.length)} {log.events.length === 1 ? "event" : "events"}
        </span>
        <Button aria-pressed={isRaw} onClick={() => setRaw(!isRaw)}>
          Raw
        </Button>
      </div>
      {log.error !== undefined && <ErrorBox error={log.error} />}
      <div className="log-frame">
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it is scrolled by keys */}
        <section className={isRaw ? "log-list log-list-raw" : "log-list"} ref={list} tabIndex={0} aria-label="Events">
          {count === 0 && (
            <Empty icon="task" title={log.isComplete ? "Nothing was logged" : "Nothing yet"}>
              Events appear here as they are made.
            </Empty>
          )}
          <div className="log-rows" style={{ height: total }}>
            <div className="log-window" style={{ transform: `translateY(${start}px)` }}>
              {drawn.map((index) => {
                const event = isRaw ? log.events[index] : undefined;
                const block = isRaw ? undefined : log.blocks[index];
                const seq = event?.seq ?? block?.seq ?? 0;
                const shared = {
                  query: search.query,
                  isCurrent: index === found,
                  isWhole: whole.has(seq),
                  onShowAll: showAll,
                };
                return (
                  <div key={seq} className={classOf(block)} data-index={index} data-seq={seq} ref={measure}>
                    {event !== undefined && <RawRow event={event} {...shared} />}
                    {block !== undefined && <BlockRow block={block} {...shared} />}
                  </div>
                );
              })}
            </div>
          </div>
        </section>
        {!isPinned && !log.isComplete && (
          <div className="log-latest">
            <Button tone="primary" icon="down" onClick={() => setPinned(true)}>
              Latest
            </Button>
          </div>
        )}
      </div>
    </div>
  );
}
