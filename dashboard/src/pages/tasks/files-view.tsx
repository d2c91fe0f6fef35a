import { useEffect, useState } from "react";
import type { TaskFile } from "../../../../src/contract/task.ts";
import { type ApiError, fetchApi, withQuery } from "../../api/client.ts";
import { toApiError } from "../../api/use-poll.ts";
import { Button } from "../../components/button.tsx";
import { Empty, ErrorBox, Loading } from "../../components/feedback.tsx";
import { Icon } from "../../components/icon.tsx";
import { Card } from "../../components/page.tsx";
import { Table } from "../../components/table.tsx";
import { formatBytes } from "../../format.ts";
import { DiffView } from "./diff-view.tsx";

/** Kinds that are shown as images: none of them can hold a script. */
const IMAGES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const MAX_IMAGE_BYTES = 16 * 1024 * 1024;
const MAX_IMAGES = 24;
/** What is read of a text. */
const MAX_TEXT_BYTES = 512 * 1024;

const isImage = ({ mediaType, sizeBytes }: TaskFile) => IMAGES.includes(mediaType) && sizeBytes <= MAX_IMAGE_BYTES;
export const isDiff = ({ path }: TaskFile) => /\.(diff|patch)$/.test(path);
const isText = ({ mediaType, path }: TaskFile) =>
  /^text\/|^application\/(json|xml|javascript|toml|yaml|x-ndjson|x-sh)/.test(mediaType) ||
  /\.(md|txt|log|csv|json|jsonl|ya?ml|toml|diff|patch|sh|py|ts|js|rs|go|html|css|xml|ini|cfg)$/.test(path);

const urlOf = (task: string, path: string) => withQuery(`/v1/tasks/${encodeURIComponent(task)}/file`, { path });

/** What a task has left: images to look at, texts to read, all of it to download. */
export function FilesView({ task, files }: { task: string; files: readonly TaskFile[] }) {
  const [open, setOpen] = useState<TaskFile>();
  const images = files.filter(isImage).slice(0, MAX_IMAGES);
  if (files.length === 0)
    return (
      <Empty icon="file" title="No files">
        What a task leaves in its output directory is kept, once it has ended.
      </Empty>
    );
  return (
    <div className="files">
      {images.length > 0 && (
        <div className="thumbs">
          {images.map((file) => (
            <Thumb key={file.path} task={task} file={file} />
          ))}
        </div>
      )}
      <Card isFlush>
        <Table
          label="Files"
          rows={files}
          rowKey={({ path }) => path}
          columns={[
            { id: "path", header: "File", isWide: true, cell: ({ path }) => path },
            {
              id: "type",
              header: "Type",
              isMinor: true,
              cell: ({ mediaType }) => <span className="muted">{mediaType}</span>,
            },
            { id: "size", header: "Size", align: "end", cell: ({ sizeBytes }) => formatBytes(sizeBytes) },
            {
              id: "do",
              header: "",
              align: "end",
              cell: (file) => (
                <span className="cell-actions">
                  {isText(file) && (
                    <Button tone="quiet" onClick={() => setOpen(file === open ? undefined : file)}>
                      {file === open ? "Hide" : "View"}
                    </Button>
                  )}
                  <a
                    className="button button-quiet button-icon"
                    href={urlOf(task, file.path)}
                    download={file.path.split("/").at(-1)}
                    aria-label={`Download ${file.path}`}
                  >
                    <Icon name="download" />
                  </a>
                </span>
              ),
            },
          ]}
        />
      </Card>
      {open !== undefined && (
        <Card title={open.path} isFlush>
          <FileText key={open.path} task={task} file={open} />
        </Card>
      )}
    </div>
  );
}

/** Its bytes, as what they are said to be: the daemon sends all of them as bytes, so that no file is ever a page. */
function Thumb({ task, file }: { task: string; file: TaskFile }) {
  const [url, setUrl] = useState<string>();
  const [isFailed, setFailed] = useState(false);
  useEffect(() => {
    const aborter = new AbortController();
    let made: string | undefined;
    fetchApi("GET", urlOf(task, file.path), { signal: aborter.signal })
      .then(async (response) => {
        made = URL.createObjectURL(new Blob([await response.arrayBuffer()], { type: file.mediaType }));
        setUrl(made);
      })
      .catch(() => setFailed(!aborter.signal.aborted));
    return () => {
      aborter.abort();
      if (made !== undefined) URL.revokeObjectURL(made);
    };
  }, [task, file]);
  return (
    <figure className="thumb">
      <div className="thumb-image">
        {url !== undefined && <img src={url} alt={file.path} />}
        {isFailed && <span className="muted">It cannot be read</span>}
      </div>
      <figcaption className="thumb-name cut">{file.path}</figcaption>
    </figure>
  );
}

/** A text, or its beginning; a diff with its colours. */
export function FileText({ task, file }: { task: string; file: TaskFile }) {
  const [text, setText] = useState<string>();
  const [error, setError] = useState<ApiError>();
  useEffect(() => {
    const aborter = new AbortController();
    const query = { length: MAX_TEXT_BYTES };
    fetchApi("GET", `${urlOf(task, file.path)}&length=${query.length}`, { signal: aborter.signal })
      .then(async (response) => setText(await response.text()))
      .catch((thrown: unknown) => {
        if (!aborter.signal.aborted) setError(toApiError(thrown));
      });
    return () => aborter.abort();
  }, [task, file]);
  if (error !== undefined) return <ErrorBox error={error} />;
  if (text === undefined) return <Loading label="Loading the file" />;
  if (isDiff(file) && text.includes("diff --git ")) return <DiffView diff={text} />;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it is scrolled by keys
    <pre className="file-text" tabIndex={0}>
      {text}
      {file.sizeBytes > MAX_TEXT_BYTES && "\n…"}
    </pre>
  );
}
