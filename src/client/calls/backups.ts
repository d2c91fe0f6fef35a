import type { WorkspaceBackup, WorkspaceReport } from "../../contract/workspace.ts";
import type { CallOptions, DaemonHttp } from "../daemon-http.ts";

/** What host directories were before something was brought back to them. */
export class BackupCalls {
  readonly #http: DaemonHttp;

  constructor(http: DaemonHttp) {
    this.#http = http;
  }

  async list(options: CallOptions = {}): Promise<WorkspaceBackup[]> {
    return (await this.#http.json<{ backups: WorkspaceBackup[] }>("GET", "/v1/backups", options)).backups;
  }

  restore(id: string, directory: string | undefined, options: CallOptions = {}): Promise<WorkspaceReport> {
    const body = directory === undefined ? {} : { directory };
    return this.#http.lines("POST", `/v1/backups/${encodeURIComponent(id)}/restore`, body, options);
  }

  delete(id: string, options: CallOptions = {}): Promise<{ deleted: string }> {
    return this.#http.json("DELETE", `/v1/backups/${encodeURIComponent(id)}`, options);
  }
}
