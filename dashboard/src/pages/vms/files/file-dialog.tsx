import { useEffect, useState } from "react";
import type { ApiError } from "../../../api/client.ts";
import { toApiError } from "../../../api/use-poll.ts";
import { Dialog } from "../../../components/confirm-dialog.tsx";
import { ErrorBox, Loading } from "../../../components/feedback.tsx";
import { Icon } from "../../../components/icon.tsx";
import { LongText } from "../../../components/long-text.tsx";
import { formatBytes } from "../../../format.ts";
import { showLine } from "../../../text.ts";
import { type DirEntry, type FileView, filePath, viewFile } from "./file-api.ts";

/** Looks at a file. Nothing of it is run: text is text, an image is one of four kinds, the rest is bytes. */
export function FileDialog({ vm, entry, onClose }: { vm: string; entry: DirEntry | undefined; onClose: () => void }) {
  return (
    <Dialog title={showLine(entry?.name ?? "File").slice(0, 80)} isOpen={entry !== undefined} onClose={onClose} isWide>
      {entry !== undefined && <FileContent vm={vm} entry={entry} />}
    </Dialog>
  );
}

function FileContent({ vm, entry }: { vm: string; entry: DirEntry }) {
  const [view, setView] = useState<FileView>();
  const [error, setError] = useState<ApiError>();
  useEffect(() => {
    let isOver = false;
    viewFile(vm, entry).then(
      (found) => isOver || setView(found),
      (thrown: unknown) => isOver || setError(toApiError(thrown)),
    );
    return () => {
      isOver = true;
    };
  }, [vm, entry]);
  return (
    <>
      <div className="dialog-body">
        <p className="muted mono path-line">{showLine(entry.path)}</p>
        {error !== undefined && <ErrorBox error={error} />}
        {view === undefined && error === undefined && <Loading label="Loading the file" />}
        {view?.kind === "text" && <LongText text={view.text} limit={20_000} label="What the file holds" />}
        {view?.kind === "text" && view.text === "" && <p className="muted">The file is empty.</p>}
        {view?.kind === "text" && view.isCut && <p className="muted">Its first 512 KiB; the download has all of it.</p>}
        {view?.kind === "image" && <Picture blob={view.blob} name={entry.name} />}
        {view?.kind === "binary" && <HexLines bytes={view.firstBytes} />}
      </div>
      <footer className="dialog-foot">
        <a className="button" href={filePath(vm, entry.path)} download={entry.name}>
          <Icon name="download" /> Download{entry.type === "file" && ` (${formatBytes(entry.sizeBytes)})`}
        </a>
      </footer>
    </>
  );
}

function Picture({ blob, name }: { blob: Blob; name: string }) {
  const [url, setUrl] = useState<string>();
  useEffect(() => {
    const made = URL.createObjectURL(blob);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [blob]);
  return url === undefined ? null : <img className="picture" src={url} alt={showLine(name)} />;
}

function HexLines({ bytes }: { bytes: Uint8Array }) {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${hex.padEnd(47)}  ${text}`);
  }
  return (
    <>
      <p className="muted">It is no text. Its first bytes:</p>
      <LongText text={lines.join("\n")} limit={10_000} label="The first bytes" />
    </>
  );
}
