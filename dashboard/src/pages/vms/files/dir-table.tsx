import { Button } from "../../../components/button.tsx";
import { Empty } from "../../../components/feedback.tsx";
import { Icon } from "../../../components/icon.tsx";
import { type Column, Table } from "../../../components/table.tsx";
import { formatBytes, formatDateTime } from "../../../format.ts";
import { showLine } from "../../../text.ts";
import { archivePath, type DirEntry, filePath, joinPath } from "./file-api.ts";

interface DirTableProps {
  vm: string;
  folder: string;
  entries: readonly DirEntry[];
  onOpen: (folder: string) => void;
  onView: (entry: DirEntry) => void;
  onDelete: (entry: DirEntry) => void;
}

/** A folder's entries, folders first. */
export function DirTable({ vm, folder, entries, onOpen, onView, onDelete }: DirTableProps) {
  const withPaths = entries.map((entry) => ({ ...entry, path: joinPath(folder, entry.name) }));
  const rows = withPaths.sort((a, b) => Number(b.type === "directory") - Number(a.type === "directory"));
  const open = (entry: DirEntry) => (entry.type === "directory" ? onOpen(entry.path) : onView(entry));
  const columns: readonly Column<DirEntry>[] = [
    {
      id: "name",
      header: "Name",
      isWide: true,
      cell: (entry) => <EntryName entry={entry} onOpen={() => open(entry)} />,
    },
    {
      id: "size",
      header: "Size",
      align: "end",
      cell: ({ type, sizeBytes }) => (type === "file" ? formatBytes(sizeBytes) : ""),
    },
    { id: "mode", header: "Mode", isMinor: true, cell: ({ mode }) => <span className="mono">{mode}</span> },
    { id: "owner", header: "Owner", isMinor: true, cell: ({ uid, gid }) => `${uid}:${gid}` },
    {
      id: "changed",
      header: "Changed",
      isMinor: true,
      cell: ({ mtimeMs }) => formatDateTime(new Date(mtimeMs).toISOString()),
    },
    {
      id: "actions",
      header: "Actions",
      align: "end",
      cell: (entry) => isReachable(entry) && <EntryActions vm={vm} entry={entry} onDelete={onDelete} />,
    },
  ];
  return (
    <Table
      label={`Files in ${showLine(folder)}`}
      columns={columns}
      rows={rows}
      rowKey={({ name, nameBase64 }) => nameBase64 ?? name}
      empty={<Empty icon="file" title="There is nothing in this folder" />}
    />
  );
}

/** A name that is no UTF-8 cannot be said in a request. */
const isReachable = ({ nameBase64 }: DirEntry) => nameBase64 === undefined || nameBase64 === null;

function EntryName({ entry, onOpen }: { entry: DirEntry; onOpen: () => void }) {
  const text = showLine(entry.name);
  const target = entry.type === "symlink" ? ` → ${showLine(entry.target ?? "?")}` : "";
  const icon = <Icon name={entry.type === "directory" ? "folder" : "file"} />;
  if (!isReachable(entry) || entry.type === "other") {
    return (
      <span className="entry" title={isReachable(entry) ? "no file" : "its name is no UTF-8"}>
        {icon} <span className="cut muted">{text}</span>
      </span>
    );
  }
  return (
    <button type="button" className="entry entry-button" onClick={onOpen} title={text.slice(0, 300)}>
      {icon} <span className="cut">{text}</span>
      <span className="muted">{target}</span>
    </button>
  );
}

function EntryActions({ vm, entry, onDelete }: { vm: string; entry: DirEntry; onDelete: (entry: DirEntry) => void }) {
  const isFolder = entry.type === "directory";
  const href = isFolder ? archivePath(vm, entry.path) : filePath(vm, entry.path);
  const name = showLine(entry.name).slice(0, 100);
  return (
    <span className="row row-end">
      {entry.type !== "other" && (
        <a
          className="button button-quiet button-icon"
          href={href}
          download={isFolder ? `${entry.name}.tar` : entry.name}
          aria-label={`Download ${name}${isFolder ? " as a tar" : ""}`}
        >
          <Icon name="download" />
        </a>
      )}
      <Button tone="quiet" icon="trash" aria-label={`Delete ${name}`} onClick={() => onDelete(entry)} />
    </span>
  );
}
