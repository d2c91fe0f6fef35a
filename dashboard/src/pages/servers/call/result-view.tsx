import { useEffect, useRef, useState } from "react";
import { StateBadge } from "../../../components/badge.tsx";
import { LongText } from "../../../components/long-text.tsx";
import { formatJson, showLine } from "../../../text.ts";
import type { ContentBlock, ToolResult } from "../mcp/connection.ts";

const IMAGES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const MAX_BLOCKS = 200;

/** What a tool has answered. Nothing of it is run or followed: it is text, or one of four kinds of image. */
export function ResultView({ result }: { result: ToolResult }) {
  const { content = [], structuredContent, isError = false } = result;
  const place = useRef<HTMLElement>(null);
  // A long form has it below the fold.
  useEffect(() => {
    place.current?.scrollIntoView({ block: "nearest" });
  }, []);
  return (
    <section className="stack-s result" aria-label="Result" ref={place}>
      <span>
        <StateBadge state={isError ? "the tool says that it failed" : "result"} tone={isError ? "bad" : "good"} />
      </span>
      {content.slice(0, MAX_BLOCKS).map((block, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a result never changes
        <Block key={index} block={block} />
      ))}
      {content.length > MAX_BLOCKS && <p className="muted">{content.length - MAX_BLOCKS} more parts are not shown.</p>}
      {content.length === 0 && structuredContent === undefined && <p className="muted">It is empty.</p>}
      {structuredContent !== undefined && (
        <LongText text={formatJson(structuredContent)} limit={5_000} label="Structured result" />
      )}
    </section>
  );
}

function Block({ block }: { block: ContentBlock }) {
  const { type, text, data, mimeType = "" } = block;
  if (type === "text" && typeof text === "string") return <LongText text={text} limit={5_000} label="Text" />;
  if (type === "image" && typeof data === "string" && IMAGES.includes(mimeType))
    return <ImageBlock data={data} type={mimeType} />;
  return <LongText text={formatJson(block)} label={showLine(type).slice(0, 40)} />;
}

function ImageBlock({ data, type }: { data: string; type: string }) {
  const [url, setUrl] = useState<string>();
  const [isBroken, setBroken] = useState(false);
  useEffect(() => {
    let made: string | undefined;
    try {
      made = URL.createObjectURL(new Blob([Uint8Array.from(atob(data), (byte) => byte.charCodeAt(0))], { type }));
    } catch {
      // It is no base64, and no image.
    }
    setUrl(made);
    return () => {
      if (made !== undefined) URL.revokeObjectURL(made);
    };
  }, [data, type]);
  return url === undefined || isBroken ? (
    <p className="muted">An image that cannot be read.</p>
  ) : (
    <img className="picture" src={url} alt="the tool’s answer" onError={() => setBroken(true)} />
  );
}
