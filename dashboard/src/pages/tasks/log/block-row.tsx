import { memo, type ReactNode } from "react";
import { Icon, type IconName } from "../../../components/icon.tsx";
import { formatTime, formatUsd } from "../../../format.ts";
import { type Block, formatInput } from "./blocks.ts";
import { Marked } from "./marked.tsx";

/** What is shown of a long text until somebody wants it all, characters. */
export const CUT_LENGTH = 2_000;

interface BlockRowProps {
  block: Block;
  /** In lower case; what is found is marked. */
  query: string;
  /** The one that the search is at. */
  isCurrent: boolean;
  isWhole: boolean;
  onShowAll: (seq: number) => void;
}

/** One block of the log. Rows come and go by the hundred as it is scrolled: as few elements as will do. */
export const BlockRow = memo(function BlockRow({ block, query, isCurrent, isWhole, onShowAll }: BlockRowProps) {
  const current = isCurrent ? " block-current" : "";
  const cut = (text: string) => {
    const isCut = !isWhole && text.length > CUT_LENGTH;
    return (
      <>
        <pre className="block-text">
          <Marked text={isCut ? text.slice(0, CUT_LENGTH) : text} query={query} />
          {isCut && "…"}
        </pre>
        {isCut && (
          <button type="button" className="show-all" onClick={() => onShowAll(block.seq)}>
            Show all {text.length.toLocaleString("en-US")} characters
          </button>
        )}
      </>
    );
  };
  switch (block.kind) {
    case "note":
      return (
        <p className={`note${current}`}>
          <span className="note-label">{block.label}</span>
          <span className="note-text">
            <Marked text={block.text} query={query} />
          </span>
          {block.at !== "" && <time>{formatTime(block.at)}</time>}
        </p>
      );
    case "output":
      return <div className={`printed printed-${block.stream}${current}`}>{cut(block.text)}</div>;
    case "thinking":
      return frame("thinking", "thinking", "Thinking", block, current, cut(block.text));
    case "text":
      return frame("say", "text", "Agent", block, current, cut(block.text));
    case "tool_call":
      return frame(
        "call",
        "tool",
        <Marked text={block.name} query={query} />,
        block,
        current,
        cut(formatInput(block.input)),
      );
    case "tool_result": {
      const exit = block.exitCode === undefined || block.exitCode === 0 ? "" : ` · exit code ${block.exitCode}`;
      const name = `${block.name ?? "Result"} ${block.ok ? "result" : "failed"}${exit}`;
      return frame(
        block.ok ? "result" : "result block-failed",
        "chevron",
        name,
        block,
        current,
        cut(block.text || "(nothing)"),
      );
    }
    case "error":
      return frame("error", "alert", "Error", block, current, cut(block.text));
    case "answer":
      return frame("answer", "check", "Answer", block, current, cut(block.text));
    case "finished": {
      const isGood = block.reason === "completed";
      const exit = block.exitCode === undefined ? "" : `exit code ${block.exitCode}`;
      const cost =
        block.cost === undefined
          ? ""
          : `${formatUsd(block.cost.usd)}${block.cost.source === "prices" ? " by the price table" : ""}`;
      const told = [block.message, exit, cost].filter((fact) => fact !== undefined && fact !== "");
      const facts = [...new Set(told)].join(" · ");
      return frame(
        isGood ? "answer" : "error",
        isGood ? "check" : "alert",
        `Finished: ${block.reason}`,
        block,
        current,
        facts === "" ? null : <p className="block-facts">{facts}</p>,
      );
    }
  }
});

function frame(kind: string, icon: IconName, title: ReactNode, { at }: Block, current: string, body: ReactNode) {
  return (
    <div className={`block block-${kind}${current}`}>
      <div className="block-head">
        <Icon name={icon} size={14} />
        <span className="block-title">{title}</span>
        <time>{formatTime(at)}</time>
      </div>
      {body}
    </div>
  );
}
