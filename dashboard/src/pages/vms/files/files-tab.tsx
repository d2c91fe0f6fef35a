import { type ChangeEvent, useRef, useState } from "react";
import type { Vm } from "../../../../../src/contract/vm.ts";
import { useAction } from "../../../api/use-action.ts";
import { usePoll } from "../../../api/use-poll.ts";
import { Button } from "../../../components/button.tsx";
import { ConfirmDialog } from "../../../components/confirm-dialog.tsx";
import { Empty, ErrorBox, Loading } from "../../../components/feedback.tsx";
import { Card } from "../../../components/page.tsx";
import { formatCount } from "../../../format.ts";
import { showLine } from "../../../text.ts";
import { vmPath } from "../api.ts";
import { DirTable } from "./dir-table.tsx";
import { type DirEntry, type DirPage, removePath, uploadFile } from "./file-api.ts";
import { FileDialog } from "./file-dialog.tsx";
import { NewFolderDialog } from "./new-folder-dialog.tsx";
import { PathBar } from "./path-bar.tsx";

const PAGE = 1_000;
const MAX_PAGE = 10_000;
/** Looking at files wakes a VM that is saved: those that do not run are left alone until somebody says so. */
const LIVE = ["running", "starting"];

/** The guest's files. */
export function FilesTab({ vm }: { vm: Vm }) {
  const [isWanted, setWanted] = useState(false);
  if (LIVE.includes(vm.state) || (isWanted && vm.state === "suspended")) return <Files vm={vm} />;
  return (
    <Empty icon="file" title={`The VM is ${vm.state}`}>
      {vm.state === "suspended" ? (
        <Button onClick={() => setWanted(true)}>Bring it back to look at its files</Button>
      ) : (
        "Its files can be looked at while it runs."
      )}
    </Empty>
  );
}

function Files({ vm }: { vm: Vm }) {
  const [folder, setFolder] = useState("/root");
  const [limit, setLimit] = useState(PAGE);
  const [viewed, setViewed] = useState<DirEntry>();
  const [doomed, setDoomed] = useState<DirEntry>();
  const [isNaming, setNaming] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const { isBusy, run } = useAction();
  const path = vmPath(vm.id, `/dir?path=${encodeURIComponent(folder)}&limit=${limit}`);
  // Once: each look counts as a use of the VM, which would never be idle then.
  const { data, error, refresh } = usePoll<DirPage>(path, 0);
  const upload = async (event: ChangeEvent<HTMLInputElement>) => {
    const files = [...(event.target.files ?? [])];
    event.target.value = "";
    await run(
      async () => {
        for (const file of files) await uploadFile(vm.id, folder, file);
      },
      files.length === 1 ? `${files[0]?.name} is there` : `${files.length} files are there`,
    );
    await refresh();
  };
  const remove = async () => {
    if (doomed === undefined) return;
    setDoomed(undefined);
    if (await run(() => removePath(vm.id, doomed.path), "It has been deleted")) await refresh();
  };
  return (
    <div className="stack">
      <div className="toolbar">
        <PathBar path={folder} onGo={setFolder} />
        <span className="row">
          <Button icon="retry" aria-label="Look again" onClick={refresh} />
          <Button icon="plus" onClick={() => setNaming(true)}>
            Folder
          </Button>
          <Button icon="up" isBusy={isBusy} onClick={() => picker.current?.click()}>
            Upload
          </Button>
          <input ref={picker} type="file" multiple hidden aria-label="Files to upload" onChange={upload} />
        </span>
      </div>
      <Card isFlush>
        {error !== undefined && <ErrorBox error={error} onRetry={refresh} />}
        {data === undefined && error === undefined && <Loading label="Loading files" />}
        {data !== undefined && (
          <DirTable
            vm={vm.id}
            entries={data.entries}
            folder={folder}
            onOpen={setFolder}
            onView={setViewed}
            onDelete={setDoomed}
          />
        )}
        {data?.more && (
          <p className="card-note">
            The first {formatCount(limit)} by name.{" "}
            {limit < MAX_PAGE && <Button onClick={() => setLimit(MAX_PAGE)}>Show more</Button>}
          </p>
        )}
      </Card>
      <FileDialog vm={vm.id} entry={viewed} onClose={() => setViewed(undefined)} />
      <NewFolderDialog vm={vm.id} folder={folder} isOpen={isNaming} onClose={() => setNaming(false)} onMade={refresh} />
      <ConfirmDialog
        title={`Delete this ${doomed?.type ?? "file"}?`}
        isOpen={doomed !== undefined}
        action="Delete"
        onConfirm={remove}
        onClose={() => setDoomed(undefined)}
      >
        <p>
          <code>{showLine(doomed?.path ?? "")}</code> {doomed?.type === "directory" && "and all that is in it "}will be
          gone.
        </p>
      </ConfirmDialog>
    </div>
  );
}
